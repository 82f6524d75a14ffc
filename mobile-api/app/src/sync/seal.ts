// Sealed values and the keys that open them (PROTOCOL.md § 9).

import { gcm } from "@noble/ciphers/aes.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concat, fromBase64Url, fromHex, hex, text, toBase64Url, utf8 } from "./bytes.ts";
import { type Raw, checkCanonical, encode, parseFields, stringOf } from "./canonical.ts";
import { SealedError } from "./errors.ts";
import { validHash } from "./group.ts";
import { labelled } from "./hash.ts";
import type { Ref } from "./ids.ts";

/** keyId names a 32-byte key: 16 hex digits. */
export function keyId(key: Uint8Array): string {
  return hex(labelled("aidloop/kid/1", key).subarray(0, 8));
}

const subkey = (key: Uint8Array, info: string) => hkdf(sha256, key, undefined, utf8(info), 32);

/** Sealer seals and opens values under one key. Equal values of one field give equal bytes. */
export class Sealer {
  readonly kid: string;
  private readonly enc: Uint8Array;
  private readonly nonce: Uint8Array;

  constructor(readonly key: Uint8Array) {
    if (key.length !== 32) throw new Error("a key has 32 bytes");
    this.kid = keyId(key);
    this.enc = subkey(key, "aidloop/seal/enc/1");
    this.nonce = subkey(key, "aidloop/seal/nonce/1");
  }

  /** seal writes {"$s":"<key id>.<base64url>"}. */
  seal(ref: Ref, field: string, value: Raw): Raw {
    const aad = context(ref, field);
    const plain = utf8(value);
    const nonce = hmac(sha256, this.nonce, concat(aad, new Uint8Array(1), plain)).subarray(0, 12);
    return `{"$s":"${this.kid}.${toBase64Url(concat(nonce, gcm(this.enc, nonce, aad).encrypt(plain)))}"}` as Raw;
  }

  /** open returns the canonical value inside, or throws a SealedError. */
  open(ref: Ref, field: string, sealed: Raw): Raw {
    const m = /^\{"\$s":"([^."]*)\.([^"]*)"\}$/.exec(sealed);
    if (m === null) throw new SealedError("not of the sealed form");
    let plain: Uint8Array;
    try {
      const box = fromBase64Url(m[2]!);
      if (m[1] !== this.kid || box.length < 28) throw new SealedError("other key");
      plain = gcm(this.enc, box.subarray(0, 12), context(ref, field)).decrypt(box.subarray(12));
    } catch (e) {
      throw e instanceof SealedError ? e : new SealedError("wrong key, other field, or damaged");
    }
    try {
      return checkCanonical(text(plain));
    } catch {
      throw new SealedError("no canonical value inside");
    }
  }

  /** wrap seals a key under this one. The carrier is the record that will hold it; the field is the wrapped key's id. */
  wrap(carrier: Ref, key: Uint8Array): Raw {
    return this.seal(carrier, keyId(key), encode(hex(key)));
  }
}

function context(ref: Ref, field: string): Uint8Array {
  return utf8(`${ref.kind}|${ref.id}|${field}`);
}

/** isSealed reports whether a value has the form of a sealed one. */
export function isSealed(v: Raw): boolean {
  return v.startsWith('{"$s":');
}

/** sealedBy is the id of the key that a value is sealed under, "" for a value in the open. */
export function sealedBy(v: Raw): string {
  return /^\{"\$s":"([0-9a-f]{16})\./.exec(v)?.[1] ?? "";
}

/** Keyring holds keys by their ids. */
export class Keyring {
  private readonly sealers = new Map<string, Sealer>();

  /** add puts a key on the ring. */
  add(key: Uint8Array): Sealer {
    const known = this.sealers.get(keyId(key));
    if (known) return known;
    const s = new Sealer(key);
    this.sealers.set(s.kid, s);
    return s;
  }

  /** get is the sealer of a key, or undefined. */
  get(kid: string): Sealer | undefined {
    return this.sealers.get(kid);
  }

  /** open returns a value in the open: sealed ones opened, others as they are. It throws where the key is not at hand. */
  open(ref: Ref, field: string, v: Raw): Raw {
    if (!isSealed(v)) return v;
    const s = this.get(sealedBy(v));
    if (!s) throw new SealedError("its key is not at hand");
    return s.open(ref, field, v);
  }

  /** equal compares two values of a field as merging does: opened, and by their bytes where one cannot be opened. */
  equal(ref: Ref, field: string, a: Raw, b: Raw): boolean {
    if (a === b) return true;
    if (!isSealed(a) && !isSealed(b)) return false;
    try {
      return this.open(ref, field, a) === this.open(ref, field, b);
    } catch {
      return false;
    }
  }

  /** unwrap puts every key of a wrapped set, {"<key id>":{"$s":…},…}, on the ring that it can open, and counts them. */
  unwrap(carrier: Ref, wrapped: Raw | undefined): number {
    if (wrapped === undefined) return 0;
    let n = 0;
    for (const [kid, value] of parseFields(wrapped)) {
      if (!this.get(sealedBy(value))) continue;
      const digits = stringOf(this.open(carrier, kid, value));
      if (!validHash(digits) || keyId(fromHex(digits)) !== kid) throw new SealedError("not the key it is named as");
      this.add(fromHex(digits));
      n++;
    }
    return n;
  }
}
