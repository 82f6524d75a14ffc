// Hashes. They are computed synchronously, in JavaScript: see README.md for why, and for the figures.

import { sha256 as noble } from "@noble/hashes/sha2.js";
import { concat, hex, utf8 } from "./bytes.ts";

/** sha256 is the SHA-256 of bytes. */
export function sha256(b: Uint8Array): Uint8Array {
  return noble(b);
}

/** derivedId is the id of a record that follows from a cause: a UUID of version 8 (PROTOCOL.md § 12). */
export function derivedId(kind: string, cause: string): string {
  const h = sha256(utf8(`aidloop/id/1${kind}\0${cause}`));
  h[6] = (h[6]! & 0x0f) | 0x80;
  h[8] = (h[8]! & 0x3f) | 0x80;
  const x = hex(h.subarray(0, 16));
  return `${x.slice(0, 8)}-${x.slice(8, 12)}-${x.slice(12, 16)}-${x.slice(16, 20)}-${x.slice(20)}`;
}

/** labelled is SHA-256(label ‖ parts…). */
export function labelled(label: string, ...parts: Uint8Array[]): Uint8Array {
  return sha256(concat(utf8(label), ...parts));
}
