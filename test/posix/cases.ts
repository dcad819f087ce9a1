import type { PosixCases } from './case.ts';
import { aclCases } from './cases/acls.ts';
import { attributeCases } from './cases/attributes.ts';
import { dataCases } from './cases/data.ts';
import { directoryCases } from './cases/directories.ts';
import { errorCases } from './cases/errors.ts';
import { linkCases } from './cases/links.ts';
import { lockCases } from './cases/locks.ts';
import { mappingCases } from './cases/mappings.ts';
import { nameCases } from './cases/names.ts';
import { nodeCases } from './cases/nodes.ts';
import { openFileCases } from './cases/open-files.ts';
import { openFlagCases } from './cases/open-flags.ts';
import { openCases } from './cases/open.ts';
import { permissionCases } from './cases/permissions.ts';
import { privilegeCases } from './cases/privileges.ts';
import { removeCases } from './cases/remove.ts';
import { renameCases } from './cases/rename.ts';
import { renameFlagCases } from './cases/rename-flags.ts';
import { timeCases } from './cases/times.ts';
import { timesMovedCases } from './cases/times-moved.ts';
import { xattrLimitCases } from './cases/xattr-limits.ts';
import { xattrCases } from './cases/xattrs.ts';

/** All cases by their titles: run on a plain directory first (is the case right?), then on mounts. */
export const posixCases: PosixCases = {
  ...openCases, ...directoryCases, ...removeCases, ...renameCases, ...linkCases, ...nodeCases, ...timeCases, ...permissionCases, ...xattrCases, ...dataCases,
  ...nameCases, ...errorCases, ...renameFlagCases, ...openFlagCases, ...openFileCases, ...mappingCases,
  ...lockCases, ...timesMovedCases, ...privilegeCases, ...aclCases, ...xattrLimitCases, ...attributeCases,
};
