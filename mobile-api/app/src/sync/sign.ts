// Ed25519 signatures: of pushes by the device, of receipts by the server.

import { ed25519 } from "@noble/curves/ed25519.js";
import { concat, fromBase64, utf8 } from "./bytes.ts";

/** Signer signs for a device. An app may keep the key where scripts cannot read it, as a WebCrypto key that cannot be
 * extracted; the engine signs outside of its transactions, so that a signer may take its time. */
export interface Signer {
  readonly publicKey: Uint8Array;
  sign(text: Uint8Array): Promise<Uint8Array>;
}

/** seedSigner signs with the key of a 32-byte seed, in JavaScript. It works on every phone. */
export function seedSigner(seed: Uint8Array): Signer {
  return { publicKey: ed25519.getPublicKey(seed), sign: async (text) => ed25519.sign(text, seed) };
}

/** webCryptoSigner makes a key that no script can read, or undefined where the browser has no Ed25519 (Chromium before 137)
 * or the page no secure context. The key pair is what an app keeps in IndexedDB. */
export async function webCryptoSigner(kept?: CryptoKeyPair): Promise<(Signer & { readonly pair: CryptoKeyPair }) | undefined> {
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  if (!subtle) return undefined;
  let pair = kept;
  try {
    pair ??= (await subtle.generateKey({ name: "Ed25519" }, false, ["sign", "verify"])) as CryptoKeyPair;
  } catch {
    return undefined;
  }
  const { publicKey, privateKey } = pair;
  return {
    pair,
    publicKey: new Uint8Array(await subtle.exportKey("raw", publicKey)),
    sign: async (text) => new Uint8Array(await subtle.sign({ name: "Ed25519" }, privateKey, text as Uint8Array<ArrayBuffer>)),
  };
}

/** verify checks a signature; anything of the wrong form is false. RFC 8032, without the leniency of ZIP 215. */
export function verify(publicKey: Uint8Array, text: Uint8Array, signature: Uint8Array): boolean {
  try {
    return ed25519.verify(signature, text, publicKey, { zip215: false });
  } catch {
    return false;
  }
}

/** SignedReceipt is the server's word that changes are committed: canonical JSON and the signature over it, in base64. */
export interface SignedReceipt {
  receipt: string;
  sig: string;
}

/** verifyReceipt checks the server's signature of a receipt. */
export function verifyReceipt(serverKey: Uint8Array, r: SignedReceipt): boolean {
  try {
    return verify(serverKey, concat(utf8("aidloop/receipt/1\n"), utf8(r.receipt)), fromBase64(r.sig));
  } catch {
    return false;
  }
}
