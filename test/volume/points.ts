import type { MountPoint } from '../../src/index.ts';
import type { Point } from './raw-cases.ts';

/** All that the parser decides of a point, with what goes without saying of its type. */
export function whole(point: Point): Required<Point> {
  return { source: '', rw: true, name: '', driver: '', mode: '', propagation: point.type === 'bind' ? 'rprivate' : '', copyData: point.type === 'volume', ...point };
}

/** The same of what it made. */
export function decided({ type, destination, source, rw, name, driver, mode, propagation, copyData }: MountPoint): Required<Point> {
  return { type, destination, source, rw, name, driver, mode, propagation, copyData };
}
