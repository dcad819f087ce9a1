import { fio } from './fio.ts';
import { git } from './git.ts';
import { make } from './make.ts';
import { dpkg } from './dpkg.ts';
import type { Program } from './program.ts';
import { sqlite } from './sqlite.ts';
import { stressors } from './stressors.ts';
import { rsync, tar, trees } from './trees.ts';

export const programs: Readonly<Record<string, Program>> = { 'stress-ng': stressors, fio, git, make, tar, rsync, 'find and rm': trees, sqlite, dpkg };
