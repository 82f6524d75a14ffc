// What the reference does with many small inputs, right and wrong ones: this core decides alike.

import v1 from "../../../syncproto/testdata/vectors/v1.json";
import all from "../../../syncproto/testdata/vectors/v1_cases.json";
import { concat, fromHex, hex, text, utf8 } from "../src/sync/bytes.ts";
import { isCanonical, validName } from "../src/sync/canonical.ts";
import { canonicalize } from "../src/sync/canonicalize.ts";
import { chainNext } from "../src/sync/chain.ts";
import { Digest, leaf } from "../src/sync/digest.ts";
import { Refusal } from "../src/sync/errors.ts";
import { type Frame, FrameReader } from "../src/sync/frames.ts";
import { parseGroup } from "../src/sync/group.ts";
import { parseCursor, parseRef, splitStamp, validBucket, validId } from "../src/sync/ids.ts";
import { type Policy, merge } from "../src/sync/merge.ts";
import { bodyText, envelopeText, parseEnvelope, parseRecord } from "../src/sync/record.ts";
import { Keyring } from "../src/sync/seal.ts";
import { equal, succeeds, test } from "./harness.ts";

test("cases: canonical forms of any JSON", () => {
  for (const c of all.text) {
    let got = "";
    try {
      got = canonicalize(c.json);
    } catch {
      // no canonical form
    }
    equal(got, c.canonical, c.json);
  }
});

test("cases: bytes that are canonical, and bytes that are not", () => {
  for (const c of all.bytes) equal(isCanonical(fromHex(c.hex)), c.ok, c.hex);
});

test("cases: one byte changed, or the rest cut off", () => {
  const readers: Record<string, (b: Uint8Array) => boolean> = {
    canonical: isCanonical,
    envelope: (b) => succeeds(() => parseEnvelope(text(b))),
    group: (b) => succeeds(() => parseGroup(text(b))),
  };
  for (const s of all.seeds) {
    for (const [at, to, ok] of s.edits as [number, number, number][]) {
      const b = to < 0 ? utf8(s.text).slice(0, at) : utf8(s.text);
      if (to >= 0) b[at] = to;
      equal(readers[s.kind]!(b), ok === 1, `${s.kind} ${s.text} with ${to} at ${at}`);
    }
  }
});

test("cases: names of things", () => {
  for (const c of all.stamps) {
    const w = c.word;
    const got = { stamp: splitStamp(w) !== undefined, cursor: succeeds(() => parseCursor(w)), id: validId(w), name: validName(w), bucket: validBucket(w), ref: succeeds(() => parseRef(w)) };
    equal({ word: w, ...got }, c);
  }
});

test("cases: streams, in chunks of any size", () => {
  for (const c of all.frames) {
    const stream = fromHex(c.hex);
    for (const size of [1, 3, 4096]) {
      const r = new FrameReader();
      const frames: Frame[] = [];
      let code = "";
      try {
        for (let i = 0; i < stream.length; i += size) frames.push(...r.push(stream.subarray(i, i + size)));
        r.end();
      } catch (e) {
        code = e instanceof Refusal ? e.code : String(e);
      }
      equal(code, c.code, c.hex);
      if (size === 1) equal(frames.length, c.whole, c.hex);
      const head = (f: Frame) => Uint8Array.of(f.type.charCodeAt(0), 0, f.payload.length >> 16, f.payload.length >> 8, f.payload.length);
      const again = concat(...frames.flatMap((f) => [head(f), f.payload]));
      equal(hex(again), c.hex.slice(0, 2 * again.length));
    }
  }
});

test("cases: chain, leaves, digests that overflow", () => {
  let head = v1.chain.start;
  v1.group.forEach((g, i) => equal((head = chainNext(head, g.hash)), all.chain[i]));
  for (const [ref, want] of Object.entries(all.leaves)) equal(leaf(parseRef(ref)), want, ref);
  const d = all.digest;
  equal(hex(Digest.of(fromHex(d.a)).add(fromHex(d.b)).bytes), d.sum);
  equal(hex(Digest.of(fromHex(d.b)).sub(fromHex(d.a)).bytes), d.b_minus_a);
});

test("cases: merging, with sealed values", () => {
  const ring = new Keyring();
  ring.add(fromHex(all.keys.one));
  ring.add(fromHex(all.keys.two));
  for (const c of all.merges as MergeCase[]) {
    const group = `{"boot":"","catalog":1,"changes":[${c.change}],"device":"d","dseq":1,"gv":"","mono":0,"root":"${c.root}","v":1,"wall":0}`;
    const { changes, root } = parseGroup(group);
    const cur = c.before ? parseRecord(c.before[0]!, c.before[1]!) : undefined;
    const policies = new Map(Object.entries(c.policies ?? {}));
    const got = merge(cur, root, changes[0]!, { stamp: c.stamp, time: c.time }, c.by_server ?? false, {
      policyOf: (_, field) => (policies.get(field) ?? "latest") as Policy,
      equal: (ref, field, a, b) => ring.equal(ref, field, a, b),
    });
    equal([got.changed, got.status, got.code], [c.changed ?? false, c.status ?? "", c.code ?? ""], JSON.stringify(c));
    equal(got.record ? [envelopeText(got.record), bodyText(got.record)] : [], c.after ?? [], JSON.stringify(c));
    const losers = got.losers.map((l) => ({
      field: l.field, value: l.value ?? "", stamp: l.version.stamp, time: l.version.time, base: l.base,
      winner: l.winner ?? "", over: l.winnerVersion.stamp, over_ms: l.winnerVersion.time, newcomer: l.newcomer,
    }));
    equal(losers, c.losers ?? [], JSON.stringify(c));
    if (cur) equal([envelopeText(cur), bodyText(cur)], c.before, "merging changed what it was given");
  }
});

interface MergeCase {
  policies?: Record<string, string>;
  before?: string[];
  root: string;
  change: string;
  stamp: string;
  time: number;
  by_server?: boolean;
  after?: string[];
  changed?: boolean;
  status?: string;
  code?: string;
  losers?: object[];
}

