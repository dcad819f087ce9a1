import { UfsError } from '../errors.ts';

/** What is wrong with a request, and the HTTP status that says so. */
export class BadRequest extends UfsError {
  readonly status: number;

  constructor(message: string, { status = 400, ...options }: ErrorOptions & { status?: number } = {}) {
    super('UFS_BAD_REQUEST', message, options);
    this.status = status;
  }
}
