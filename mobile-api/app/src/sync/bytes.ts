// Bytes and text. Text is always well-formed: what cannot be UTF-8 is refused, never replaced.

import { bytesToHex, concatBytes } from "@noble/hashes/utils.js";

export { bytesToHex as hex, concatBytes as concat };

const encoder = new TextEncoder();
// ignoreBOM keeps U+FEFF, which a decoder swallows otherwise: the text must have the very bytes that were hashed.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** utf8 is the text's bytes. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** text reads UTF-8 and throws on anything else. */
export function text(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** utf8Length is how many bytes the text has as UTF-8, counted without encoding it. */
export function utf8Length(s: string): number {
  let n = s.length;
  for (let i = 0; i < s.length; i++) {
    const c = s.charCodeAt(i);
    if (c >= 0x800 && (c < 0xd800 || c > 0xdfff)) n += 2;
    else if (c >= 0x80) n += 1; // each half of a surrogate pair stands for two of its four bytes
  }
  return n;
}

/** fromHex reads hex digits of either case, two a byte. */
export function fromHex(s: string): Uint8Array {
  if (!/^([0-9a-fA-F]{2})*$/.test(s)) throw new Error("not hex digits");
  const out = new Uint8Array(s.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = parseInt(s.slice(2 * i, 2 * i + 2), 16);
  return out;
}

/** toBase64 writes the standard alphabet with padding, as control messages carry it. */
export function toBase64(b: Uint8Array): string {
  let s = "";
  for (let i = 0; i < b.length; i += 0x8000) s += String.fromCharCode(...b.subarray(i, i + 0x8000));
  return btoa(s);
}

/** fromBase64 reads the standard alphabet with padding. */
export function fromBase64(s: string): Uint8Array {
  if (!/^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(s)) throw new Error("not base64");
  const raw = atob(s);
  return Uint8Array.from(raw, (c) => c.charCodeAt(0));
}

/** toBase64Url writes the URL alphabet without padding, as sealed values carry it. */
export function toBase64Url(b: Uint8Array): string {
  return toBase64(b).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** fromBase64Url reads the URL alphabet without padding and refuses bits left over, so that a value has one form. */
export function fromBase64Url(s: string): Uint8Array {
  if (!/^[A-Za-z0-9_-]*$/.test(s) || s.length % 4 === 1) throw new Error("not base64url");
  const b = fromBase64(s.replace(/-/g, "+").replace(/_/g, "/") + "===".slice((s.length + 3) % 4));
  if (toBase64Url(b) !== s) throw new Error("not base64url");
  return b;
}
