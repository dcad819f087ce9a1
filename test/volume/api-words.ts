import type { Mount } from '../../src/index.ts';

/** A mount as Docker's API spells it. */
export function inApi({ bindOptions, volumeOptions, tmpfsOptions, ...rest }: Mount): object {
  return {
    ...capitals(rest), BindOptions: capitals(bindOptions), TmpfsOptions: capitals(tmpfsOptions),
    VolumeOptions: volumeOptions && { ...capitals(volumeOptions), DriverConfig: capitals(volumeOptions.driverConfig) },
  };
}

function capitals(record: object | undefined): object | undefined {
  return record && Object.fromEntries(Object.entries(record).map(([key, value]) => [(key[0] as string).toUpperCase() + key.slice(1), value]));
}
