/** Inode numbers of device n start at n times this; a device's own numbers rarely reach it. */
const DEVICE_STEP = 2 ** 48;
/** Numbers stay below 2^53, hence this many devices get their own range. */
const DEVICES = 32;

/**
 * One inode number for each inode of layers on several devices. Devices are numbered in the order they are first seen, those of the layers' roots before
 * all others, so the same layers always give the same numbers, and the first layer's device keeps its own.
 */
export class InodeNumbers {
  readonly #devices = new Map<number, number>();
  readonly #layers: number[] = [];

  /** Numbers the device of the next layer. */
  addLayer(stat: { devMajor: number; devMinor: number }): void {
    this.#layers.push(this.device(stat));
  }

  layerDevice(layer: number): number {
    return this.#layers[layer];
  }

  device(stat: { devMajor: number; devMinor: number }): number {
    const key = stat.devMajor * 2 ** 20 + stat.devMinor;
    let index = this.#devices.get(key);
    if (index === undefined) this.#devices.set(key, (index = this.#devices.size));
    return index;
  }

  number(device: number, ino: number): number {
    if (device === 0) return ino;
    return (device % DEVICES) * DEVICE_STEP + (ino % DEVICE_STEP);
  }
}
