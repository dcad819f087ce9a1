import { UfsError } from '../errors.ts';
import { quoted } from './refused.ts';
import { DEFAULT_DRIVER, type Driver } from './volume.ts';

/** What a name of a driver may be: what Docker can look up as a plugin. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_./:@-]*$/;

/** Drivers of volumes by name (moby, daemon/volume/drivers/extpoint.go). */
export class VolumeDrivers {
  readonly #drivers = new Map<string, Driver>();

  /** Adds a driver, by its own name unless another is given. Refused: a name that is taken (UFS_VOLUME_DRIVER_EXISTS) or isn't one, a scope that isn't one (UFS_USAGE). */
  register(driver: Driver, name: string = driver.name): void {
    if (name === '') throw new UfsError('UFS_USAGE', 'driver name cannot be empty');
    if (!NAME.test(name)) throw new UfsError('UFS_USAGE', `Cannot register a volume driver as ${quoted(name)}: a name has letters, digits and any of _./:@-, and begins with a letter or digit`);
    const scope: string = driver.scope();
    if (scope !== 'local' && scope !== 'global') throw new UfsError('UFS_USAGE', `Driver ${quoted(driver.name)} provided an invalid capability scope: ${scope}`);
    if (this.#drivers.has(name)) throw new UfsError('UFS_VOLUME_DRIVER_EXISTS', `Cannot register a volume driver as ${quoted(name)}: there is one of that name`);
    this.#drivers.set(name, driver);
  }

  /** Takes a driver out; its volumes stay. UFS_VOLUME_DRIVER_NOT_FOUND where there is none. */
  unregister(name: string): void {
    if (!this.#drivers.delete(name)) throw notFound(name);
  }

  /** The driver of a name; `local` where that is empty. UFS_VOLUME_DRIVER_NOT_FOUND where there is none. */
  get(name: string): Driver {
    const known = name === '' ? DEFAULT_DRIVER : name;
    const driver = this.#drivers.get(known);
    if (driver === undefined) throw notFound(known);
    return driver;
  }

  /** All names, in order. */
  names(): string[] {
    return [...this.#drivers.keys()].sort();
  }
}

function notFound(name: string): UfsError {
  return new UfsError('UFS_VOLUME_DRIVER_NOT_FOUND', `volume driver not found: ${name}`);
}
