// Row hashes and the digest of a bucket (PROTOCOL.md § 8).

import { concat, utf8 } from "./bytes.ts";
import { sha256 } from "./hash.ts";
import { type Ref, refText } from "./ids.ts";

/** rowHash is SHA-256(len(envelope) ‖ envelope ‖ len(body) ‖ body), lengths as 4 bytes, big-endian. */
export function rowHash(envelope: Uint8Array, body: Uint8Array): Uint8Array {
  return sha256(concat(length4(envelope), envelope, length4(body), body));
}

function length4(b: Uint8Array): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, b.length);
  return out;
}

/** Digest is a sum of row hashes modulo 2^256; order does not matter. */
export class Digest {
  private constructor(readonly bytes: Uint8Array) {}

  static readonly zero = new Digest(new Uint8Array(32));

  /** of takes 32 bytes, big-endian. */
  static of(bytes: Uint8Array): Digest {
    if (bytes.length !== 32) throw new Error("a digest has 32 bytes");
    return new Digest(bytes);
  }

  /** add is the digest with one more row. */
  add(row: Uint8Array): Digest {
    return this.plus(row, 1);
  }

  /** sub is the digest with the row taken out. */
  sub(row: Uint8Array): Digest {
    return this.plus(row, -1);
  }

  private plus(row: Uint8Array, sign: 1 | -1): Digest {
    const out = new Uint8Array(32);
    for (let i = 31, carry = 0; i >= 0; i--) {
      const n = this.bytes[i]! + sign * row[i]! + carry;
      out[i] = n;
      carry = n >> 8; // −1, 0 or 1
    }
    return new Digest(out);
  }
}

/** leaf is the part, 0 to 255, of a bucket's digest that a record belongs to. */
export function leaf(r: Ref): number {
  return sha256(utf8(refText(r)))[0]!;
}
