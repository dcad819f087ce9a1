/** What went wrong with a store, an image or a command, in words for its user; `code` is for programs (UFS_LAYER_NOT_FOUND …). */
export class UfsError extends Error {
  readonly code: `UFS_${string}`;

  constructor(code: `UFS_${string}`, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UfsError';
    this.code = code;
  }
}
