// A device's hash chain (PROTOCOL.md § 4). Heads and hashes are 64 hex digits in text.

import { fromHex, hex, utf8 } from "./bytes.ts";
import { labelled, sha256 } from "./hash.ts";

/** groupHash is the SHA-256 of a group's bytes. */
export function groupHash(group: Uint8Array): string {
  return hex(sha256(group));
}

/** chainStart is the head of a device's empty chain. */
export function chainStart(device: string): string {
  return hex(labelled("aidloop/device/1", utf8(device)));
}

/** chainNext is the head behind one more group. */
export function chainNext(head: string, hash: string): string {
  return hex(labelled("aidloop/chain/1", fromHex(head), fromHex(hash)));
}

/** signedText is what a device signs, once per push: the text, as bytes. */
export function signedText(device: string, last: number, head: string): Uint8Array {
  return utf8(`aidloop/push/1\n${device}\n${last}\n${head}`);
}
