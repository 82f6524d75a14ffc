/** Refusal is an exchange, a frame or a whole response that cannot be taken. `code` is one of PROTOCOL.md § 10. */
export class Refusal extends Error {
  constructor(
    readonly code: string,
    readonly detail = "",
    /** after a gap: where the server stands */
    readonly have = 0,
    readonly head = "",
  ) {
    super(detail === "" ? code : `${code}: ${detail}`);
    this.name = "Refusal";
  }
}

/** CanonicalError says at which character a text stops being canonical JSON. */
export class CanonicalError extends Error {
  constructor(what: string, at?: number) {
    super(`not canonical JSON: ${what}${at === undefined ? "" : ` at character ${at}`}`);
    this.name = "CanonicalError";
  }
}

/** GroupError is a group that breaks the protocol's rules. */
export class GroupError extends Error {
  constructor(what: string) {
    super(`bad group: ${what}`);
    this.name = "GroupError";
  }
}

/** SealedError is a sealed value that cannot be opened. It never says what was inside. */
export class SealedError extends Error {
  constructor(what: string) {
    super(`cannot open the sealed value: ${what}`);
    this.name = "SealedError";
  }
}
