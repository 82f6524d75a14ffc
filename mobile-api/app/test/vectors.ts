// The golden vectors of version 1, the very file that the server's tests write and check.

import v1 from "../../../syncproto/testdata/vectors/v1.json";
import { fromHex, hex, text, toBase64, utf8 } from "../src/sync/bytes.ts";
import { type Raw, checkCanonical, encode, parseFields, readCanonical, stringOf } from "../src/sync/canonical.ts";
import { canonicalize } from "../src/sync/canonicalize.ts";
import { chainNext, chainStart, groupHash, signedText } from "../src/sync/chain.ts";
import { correctTime } from "../src/sync/clock.ts";
import { Digest, leaf, rowHash } from "../src/sync/digest.ts";
import { frame, groupPayload, jsonFrame, message, parseGroupPayload, parseRow, readFrames, rowPayload } from "../src/sync/frames.ts";
import { encodeGroup, parseGroup } from "../src/sync/group.ts";
import { derivedId } from "../src/sync/hash.ts";
import { parseRef } from "../src/sync/ids.ts";
import { type Policy, merge } from "../src/sync/merge.ts";
import { bodyText, envelopeText, parseEnvelope, parseRecord } from "../src/sync/record.ts";
import { Keyring, Sealer, keyId } from "../src/sync/seal.ts";
import { seedSigner, verify, verifyReceipt, webCryptoSigner } from "../src/sync/sign.ts";
import { check, equal, fails, test } from "./harness.ts";

test("vectors: canonical JSON", () => {
  for (const s of v1.canonical.valid) equal(checkCanonical(s), s);
  for (const s of v1.canonical.invalid) {
    // One of them is a byte that is not UTF-8, which the file's JSON can only show as U+FFFD.
    if (s === '"\ufffd"') fails(() => readCanonical(Uint8Array.of(0x22, 0xff, 0x22)), "invalid UTF-8");
    else fails(() => readCanonical(utf8(s)), s);
  }
  for (const c of v1.canonical.from) equal(canonicalize(c.json), c.canonical);
});

test("vectors: envelopes and groups", () => {
  for (const s of v1.envelope) equal(envelopeText(parseEnvelope(s)), s);
  for (const g of v1.group) {
    equal(encodeGroup(parseGroup(g.bytes)), g.bytes);
    equal(groupHash(utf8(g.bytes)), g.hash);
  }
});

test("vectors: chain and signature", async () => {
  const c = v1.chain;
  equal(chainStart(c.device), c.start);
  equal(chainNext(c.start, v1.group[0]!.hash), c.head);
  const signed = signedText(c.device, 2, c.head);
  equal(text(signed), c.signed_text);
  const signer = seedSigner(fromHex(c.seed));
  equal(hex(await signer.sign(signed)), c.signature);
  check(verify(signer.publicKey, signed, fromHex(c.signature)), "own signature");
  check(!verify(signer.publicKey, signedText(c.device, 3, c.head), fromHex(c.signature)), "another text is verified");
  check(!verify(signer.publicKey, signed, new Uint8Array(63)), "a short signature is verified");
});

test("vectors: receipts", () => {
  const key = seedSigner(fromHex(v1.receipt.server_seed)).publicKey;
  const r = { receipt: v1.receipt.receipt, sig: toBase64(fromHex(v1.receipt.signature)) };
  check(verifyReceipt(key, r), "the receipt's signature");
  check(!verifyReceipt(key, { ...r, receipt: r.receipt.replace('"dseq":2', '"dseq":3') }), "a forged receipt is taken");
  check(!verifyReceipt(key, { ...r, sig: "!" }), "a signature that is no base64 is taken");
  parseFields(r.receipt);
});

test("the browser's own Ed25519 signs the same way, where there is one", async () => {
  const signer = await webCryptoSigner();
  if (!signer) return; // Node 18, Chromium before 137, a page without a secure context: seedSigner does it
  const signed = signedText("d", 1, v1.chain.head);
  check(verify(signer.publicKey, signed, await signer.sign(signed)), "a WebCrypto signature is not verified");
  const again = await webCryptoSigner(signer.pair);
  equal(hex(again!.publicKey), hex(signer.publicKey));
});

test("vectors: row hashes, digests, leaves", () => {
  let sum = Digest.zero;
  for (const r of v1.rows) {
    const h = rowHash(utf8(r.envelope), utf8(r.body));
    equal(hex(h), r.hash);
    equal(leaf(parseEnvelope(r.envelope).ref), r.leaf);
    sum = sum.add(h);
  }
  equal(hex(sum.bytes), v1.digest.of_rows);
  equal(hex(sum.sub(fromHex(v1.rows[0]!.hash)).bytes), v1.digest.minus_first);
});

test("vectors: sealed values and wrapped keys", () => {
  for (const s of v1.seal) {
    const sealer = new Sealer(fromHex(s.key));
    equal(sealer.kid, s.key_id);
    equal(sealer.seal(parseRef(s.ref), s.field, s.value as Raw), s.sealed);
    equal(sealer.open(parseRef(s.ref), s.field, s.sealed as Raw), s.value);
    fails(() => sealer.open(parseRef(s.ref), `${s.field}x`, s.sealed as Raw), "another field's value");
  }
  const w = v1.wrap, carrier = parseRef(w.carrier);
  const ring = new Keyring();
  equal(ring.add(fromHex(w.wrapping_key)).wrap(carrier, fromHex(w.key)), w.wrapped);
  equal(ring.unwrap(carrier, `{"${w.key_id}":${w.wrapped}}` as Raw), 1);
  equal(ring.get(w.key_id)?.kid, keyId(fromHex(w.key)));
});

test("vectors: corrected times", () => {
  for (const c of v1.clock) {
    const at = (wallMono: number[], boot: string) => ({ wall: wallMono[0]!, mono: wallMono[1]!, boot });
    equal(correctTime(at(c.captured, "b"), at(c.at_push, c.same_boot ? "b" : "c"), c.received, c.floor), c.corrected);
  }
});

test("vectors: derived ids", () => {
  for (const i of v1.ids) equal(derivedId(i.kind, i.cause), i.id);
});

test("vectors: a push and a row, frame by frame", () => {
  const push = fromHex(v1.request.push_hex);
  const frames = readFrames(push);
  equal(frames.map((f) => f.type).join(""), "HGSE");
  const g = parseGroupPayload(frames[1]!.payload);
  equal([g.dseq, g.changes, text(g.bytes)], [1, 2, v1.group[0]!.bytes]);
  equal(message(frames[3]!), { frames: 3 });
  const c = v1.chain;
  equal(message(frames[2]!), { device: c.device, first: 1, prev: c.start, last: 2, head: c.head, sig: toBase64(fromHex(c.signature)) });
  const built = [frame("H", frames[0]!.payload), frame("G", groupPayload(1, 2, utf8(v1.group[0]!.bytes))), jsonFrame("S", message(frames[2]!)), jsonFrame("E", { frames: 3 })];
  equal(built.map(hex).join(""), v1.request.push_hex);
  for (let n = 1; n < push.length; n++) {
    const whole = new Set([0, 1, 2, 3].map((k) => built.slice(0, k).reduce((sum, f) => sum + f.length, 0)));
    if (!whole.has(n)) fails(() => readFrames(push.subarray(0, n)), `${n} bytes of a push`);
  }
  const row = readFrames(fromHex(v1.request.row_frame_hex))[0]!;
  equal(hex(frame("r", rowPayload(parseRow(row.payload)))), v1.request.row_frame_hex);
  equal(parseRow(row.payload).seq, 8);
});

test("vectors: merging under every policy", () => {
  for (const m of v1.merge) {
    const cur = parseRecord(m.before[0]!, m.before[1]!);
    const change = { op: "set" as const, ref: cur.ref, fields: new Map([["a", m.value as Raw]]), base: new Map([["a", m.base]]) };
    const got = merge(cur, cur.root, change, { stamp: m.stamp, time: m.time }, false, { policyOf: () => m.policy as Policy });
    equal([got.status, got.code, got.losers[0]?.value ?? ""], [m.status, m.code, m.loser]);
    equal(got.record ? [envelopeText(got.record), bodyText(got.record)] : ["", ""], m.after);
    equal([envelopeText(cur), bodyText(cur)], m.before, "merging changed what it was given");
  }
});

test("writing values", () => {
  equal(encode({ b: [1, -0, "é😀\u2028"], a: { $s: "x.y" }, c: undefined, d: null }), '{"a":{"$s":"x.y"},"b":[1,0,"é😀\u2028"]}');
  equal(stringOf(encode('"\\\n\u0000')), '"\\\n\u0000');
  for (const v of [1.5, 2 ** 53, NaN, "\ud800", { A: 1 }, { $s: 1 }, { $s: "x", a: 1 }, [null]]) fails(() => encode(v as never), JSON.stringify(v));
});
