// The device engine against responses that tests write. In a browser it runs on IndexedDB.

import overlays from "../../../syncproto/testdata/vectors/v1_overlay.json";
import { encode, fieldsOf, fieldsText, parseFields } from "../src/sync/canonical.ts";
import { Engine, enrol } from "../src/sync/engine.ts";
import { Refusal } from "../src/sync/errors.ts";
import { jsonFrame } from "../src/sync/frames.ts";
import { parseGroup } from "../src/sync/group.ts";
import { derivedId } from "../src/sync/hash.ts";
import { makeStamp } from "../src/sync/ids.ts";
import type { Policy } from "../src/sync/merge.ts";
import { overlay } from "../src/sync/overlay.ts";
import { envelopeText, parseRecord } from "../src/sync/record.ts";
import { Sealer, isSealed, keyId } from "../src/sync/seal.ts";
import { seedSigner } from "../src/sync/sign.ts";
import { MemoryStore } from "../src/sync/store.ts";
import { Ring, keyRecord } from "../src/sync/view.ts";
import { check, equal, rejects, test } from "./harness.ts";
import { Server, caseKey, clock, grid, hear, home, identity, newDevice, newStore, one, signer, take, userKey } from "./server.ts";

test("overlay: what the reference shows while work is under way", () => {
  const ref = { kind: "visit", id: "v1" };
  for (const c of overlays as { row?: string[]; policies: Record<string, string>; groups: string[] | null; seen?: string[]; pending: boolean; acts?: string[] }[]) {
    const pending = (c.groups ?? []).map(parseGroup).flatMap((g) => g.changes.map((change, i) => ({ root: g.root, change, version: { stamp: makeStamp(g.device, g.dseq + i), time: g.clock.wall } })));
    const got = overlay(c.row && parseRecord(c.row[0]!, c.row[1]!), ref, pending, { policyOf: (_, f) => c.policies[f] as Policy });
    equal(got.record && [envelopeText(got.record), fieldsText(got.record.body)], c.seen, JSON.stringify(c));
    if (c.seen) equal([got.pending, got.acts], [c.pending, c.acts ?? []], JSON.stringify(c));
  }
});

const set = (values: Record<string, string | number>, seal: string[] = []) => ({ op: "set" as const, ref: home, fields: fieldsOf(values), seal });

async function count(engine: Engine): Promise<unknown> {
  const v = await engine.view(home);
  return v && (await engine.opened(v)).fields.get("members_count");
}

async function states(engine: Engine): Promise<string> {
  return (await engine.outbox()).map((x) => x.state).join(" ");
}

test("engine: a store belongs to one enrolment", async () => {
  const { store } = await newDevice();
  await rejects(enrol(store, identity("d2")), "a second enrolment");
  await rejects(Engine.open(new MemoryStore(), { signer: seedSigner(new Uint8Array(32)), catalog: 1 }), "an empty store");
});

test("engine: a captured group is sealed, frozen, signed, and lies over the rows until they carry it", async () => {
  const { engine, server, store } = await newDevice();
  await engine.capture(home, [set({ members_count: 4, note: "门口有狗" }, ["note"])], clock);
  await engine.capture(home, [set({ members_count: 5 })], clock);
  const again = await Engine.open(store, { signer: seedSigner(new Uint8Array(32).fill(5)), catalog: 1 }); // as after a restart
  equal(await count(again), 5);
  const heard = await hear(engine);
  equal(heard.types, "HGGSWE");
  const [first, second] = heard.groups.map(parseGroup);
  check(isSealed(first!.changes[0]!.fields!.get("note")!), "the note goes out in the open");
  equal([first!.gv, second!.changes[0]!.base!.get("members_count")], [`inc-1:${server.seq}`, "d:1"]);
  server.have = 2;
  const at = { bucket: grid, seq: server.seq + 1 };
  equal((await server.answer(engine, [{ dseq: 1, status: "judged", at }, { dseq: 2, status: "judged", at }])).more, false);
  equal([await states(engine), await count(engine)], ["awaiting awaiting", 5]);
  server.put(grid, "household", "h1", `{"code":"H-1","members_count":5}`, "d:2");
  await server.answer(engine);
  equal([await states(engine), await count(engine), (await engine.view(home))!.pending], ["done done", 5, false]);
});

test("engine: what has no record, no key or no grant is refused, and nothing is kept", async () => {
  const { engine } = await newDevice();
  const ghost = { kind: "household", id: "h9" };
  await rejects(engine.capture(ghost, [{ op: "set", ref: ghost, fields: fieldsOf({ a: 1 }) }], clock), "a set of nothing");
  await rejects(engine.capture(ghost, [{ op: "put", ref: { kind: "person", id: "p" }, fields: fieldsOf({ name: "x" }), seal: ["name"] }], clock), "sealing without a key");
  await rejects(engine.capture(ghost, [{ op: "put", ref: ghost, bucket: "grid:elsewhere", fields: fieldsOf({}) }], clock), "a grid without a grant");
  await rejects(engine.capture(home, [set({ note: "x".repeat(256 << 10) })], clock), "a group that is too large");
  await rejects(engine.capture(home, [], clock), "nothing");
  equal([await states(engine), (await engine.state()).next], ["", 1]);
});

test("engine: a new household has a key of its own, and its put comes first", async () => {
  const { engine } = await newDevice();
  const made = { kind: "household", id: "h2" }, person = { kind: "person", id: "p2" };
  await engine.capture(made, [{ op: "put", ref: person, fields: fieldsOf({ name: "张三" }), seal: ["name"] }, { op: "put", ref: made, bucket: grid, fields: fieldsOf({ code: "H-2" }) }], clock);
  const g = await engine.content(1);
  equal(g.changes.map((c) => c.ref.kind), ["household", "key", "person"]);
  const v = (await engine.list("person"))[0]!;
  equal([...(await engine.opened(v)).fields], [["name", "张三"]]);
  equal([v.pending, v.bucket], [true, ""]);
});

test("engine: a response may break off between any two frames, and at any page", async () => {
  for (let cut = 1; cut < 9; cut++) {
    const { engine, server, store } = await newDevice();
    await engine.capture(home, [set({ note: "n" })], clock);
    server.have = 1;
    server.put(grid, "household", "h1", `{"code":"H-1","members_count":7}`, "d:1");
    server.put(grid, "person", "p1", `{"name":"x"}`);
    const heard = await hear(engine);
    const [begin, row, ...rest] = server.bucket(grid, 3, false);
    const frames = [server.hello(), jsonFrame("o", { groups: [{ dseq: 1, status: "judged", at: { bucket: grid, seq: 4 } }] }), begin!, row!, jsonFrame("p", { seq: 4 }), jsonFrame("b", { bucket: grid, from: 4 }), ...rest];
    const r = engine.response(clock, heard.asked);
    for (const f of frames.slice(0, cut)) await r.frame(one(f));
    await rejects(r.finish(), `${cut} frames`);
    const wanted = (await hear(engine)).want!.cursors.find((c) => c.bucket === grid)!.cursor;
    equal(wanted, cut >= 8 ? "inc-1:5" : cut >= 5 ? "inc-1:4" : "inc-1:3", `${cut}`);
    equal(await count(engine), cut >= 8 ? 7 : 3, `after ${cut} frames`);
    await server.answer(engine, cut < 2 ? [{ dseq: 1, status: "judged", at: { bucket: grid, seq: 4 }, replay: true }] : []);
    equal([await count(engine), await states(engine), (await engine.list("person")).length, (await engine.incidents()).length], [7, "done", 1, 0]);
    equal((await store.view((t) => t.scan("stag"))).map(([k]) => k), []);
  }
});

/** another is a server that was put back from a backup: the same grid in another life. */
function another(server: Server): Server {
  const next = new Server();
  next.incarnation = "inc-2";
  next.have = server.have;
  next.put(grid, "household", "h1", `{"code":"H-1","members_count":8}`, "inc-1:3");
  next.put(grid, "person", "p1", `{"name":"x"}`);
  return next;
}

test("engine: pages of a fresh bucket replace it together, in however many responses they come", async () => {
  const { engine, server, store } = await newDevice();
  server.put(grid, "person", "gone", `{"name":"y"}`);
  await server.answer(engine);
  const next = another(server);
  const [begin, first, ...rest] = next.bucket(grid, 0, true);
  await take(engine, (await hear(engine)).asked, [next.hello(), begin!, first!, jsonFrame("p", { seq: 1 })], { frames: 4, more: true });
  equal([await count(engine), (await hear(engine)).want!.cursors.find((c) => c.bucket === grid)!.cursor], [3, "inc-2:1"]);
  await take(engine, (await hear(engine)).asked, [next.hello(), jsonFrame("b", { bucket: grid, from: 1 }), ...rest]);
  equal([await count(engine), (await engine.list("person")).map((v) => v.ref.id), (await engine.state()).photosAgain], [8, ["p1"], true]);
  equal((await store.view((t) => t.scan("stag"))).map(([k]) => k), []);
  equal((await engine.incidents()).length, 0);
});

test("engine: what was staged before a bucket began afresh is void", async () => {
  for (const paged of [true, false]) {
    const { engine, server } = await newDevice();
    server.put(grid, "person", "stale", `{"name":"y"}`);
    const [begin, row] = server.bucket(grid, 3, false);
    await take(engine, (await hear(engine)).asked, [server.hello(), begin!, row!, jsonFrame("p", { seq: 4 })], { frames: 4, more: true });
    const next = another(server);
    const [again, first, ...rest] = next.bucket(grid, 0, true);
    const cut = [next.hello(), again!, first!, jsonFrame("p", { seq: 1 })];
    if (paged) await take(engine, (await hear(engine)).asked, cut, { frames: 4, more: true });
    const frames = paged ? [jsonFrame("b", { bucket: grid, from: 1 }), ...rest] : [again!, first!, ...rest];
    await take(engine, (await hear(engine)).asked, [next.hello(), ...frames]);
    equal([(await engine.list("person")).map((v) => v.ref.id), (await engine.incidents()).length], [["p1"], 0]);
  }
});

test("engine: when the author's bucket begins afresh, outcomes are read again", async () => {
  const { engine, server } = await newDevice();
  for (const n of [4, 5, 6]) await engine.capture(home, [set({ members_count: n })], clock);
  server.have = 3;
  await server.answer(engine, [{ dseq: 1, status: "held", code: "blocked" }, { dseq: 2, status: "judged" }, { dseq: 3, status: "rejected", code: "bad_change" }]);
  equal(await states(engine), "held done rejected");
  const next = another(server);
  next.put("user:u", "outcome", derivedId("outcome", "d:2"), `{"device":"d","dseq":2,"status":"held"}`);
  await next.answer(engine);
  equal(await states(engine), "done held done");
});

test("engine: when the author's bucket goes on in another incarnation, outcomes are read again", async () => {
  const { engine, server } = await newDevice();
  await engine.capture(home, [set({ members_count: 4 })], clock);
  server.have = 1;
  server.put("user:u", "outcome", derivedId("outcome", "d:1"), `{"device":"d","dseq":1,"status":"held"}`);
  await server.answer(engine, [{ dseq: 1, status: "held", code: "blocked" }]);
  await take(engine, (await hear(engine)).asked, [server.hello(), jsonFrame("o", { groups: [{ dseq: 1, status: "judged", replay: true }] })]);
  equal(await states(engine), "done");
  server.incarnation = "inc-2"; // put back to where it still held the group: the same rows
  await take(engine, (await hear(engine)).asked, [server.hello(), ...server.bucket("user:u", server.seq, false)]);
  equal([await states(engine), (await engine.incidents()).length], ["held", 0]);
});

test("engine: a place in the feed counts in the incarnation that told it", async () => {
  const { engine, server } = await newDevice();
  await engine.capture(home, [set({ members_count: 4 })], clock);
  server.have = 1;
  const next = another(server);
  const judged = [{ dseq: 1, status: "judged", at: { bucket: grid, seq: 2 } }]; // inc-1 has come further than that
  await take(engine, (await hear(engine)).asked, [next.hello(), jsonFrame("o", { groups: judged })], { frames: 2, more: true });
  equal([await count(engine), await states(engine)], [4, "awaiting"]);
  await next.answer(engine);
  equal([await count(engine), await states(engine)], [8, "done"]);
});

test("engine: rotated keys of the user and of a grid lock the phone until new tokens bring the newest", async () => {
  const { engine, server, store } = await newDevice();
  const newUser = new Uint8Array(32).fill(17), grids = [18, 19].map((n) => new Uint8Array(32).fill(n));
  const newest = grids.sort((a, b) => (keyId(a) < keyId(b) ? -1 : 1))[0]!; // not the last member
  const grant = { kind: "grant", id: "g1" }, own = keyRecord({ kind: "user", id: "u" }), key = keyRecord(home), note = { kind: "notice", id: "n1" };
  const wrapped = grids.map((k) => `"${keyId(k)}":${new Sealer(newUser).wrap(grant, k)}`).join();
  server.put("user:u", "grant", "g1", `{"bucket":"${grid}","current":"${keyId(newest)}","keys":{${wrapped}},"state":"active"}`);
  server.put("user:u", "key", own.id, `{"current":"${keyId(newUser)}","keys":{"${keyId(userKey)}":${new Sealer(newUser).wrap(own, userKey)}},"root":"user/u"}`);
  server.put("user:u", "notice", "n1", `{"text":${new Sealer(userKey).seal(note, "text", encode("hello"))}}`);
  server.put(grid, "key", key.id, `{"current":"${keyId(caseKey)}","keys":{"${keyId(caseKey)}":${new Sealer(newest).wrap(key, caseKey)}},"root":"household/h1"}`);
  equal(await engine.locked(), false);
  await server.answer(engine);
  equal(await engine.locked(), true);
  await engine.addUserKey(newUser);
  equal(await engine.locked(), false);
  const again = await Engine.open(store, { signer, catalog: 1 }); // the phone is started anew
  const ring = new Ring([newUser], "user:u"); // even a phone that never had the former key opens all
  const v = (await again.view(note))!;
  equal((await again.opened(v)).fields.get("text"), "hello");
  equal((await store.view((t) => ring.opened(t, v))).locked, []);
  equal(ring.ofBucket(grid)!.kid, keyId(newest));
});

test("engine: rows that do not add up are an incident; nothing changes, and the bucket is fetched afresh", async () => {
  const { engine, server } = await newDevice();
  await engine.capture(home, [set({ note: "n" })], clock);
  server.put(grid, "person", "p1", `{"name":"x"}`);
  const heard = await hear(engine);
  const frames = server.bucket(grid, 3, false).filter((_, i) => i !== 1); // a row is missing
  await take(engine, heard.asked, [server.hello(), ...frames]);
  equal([(await engine.incidents()).map((i) => i.bucket), await count(engine), await states(engine)], [[grid], 3, "pending"]);
  equal((await hear(engine)).want!.cursors.map((c) => c.bucket), ["user:u"]);
  await server.answer(engine);
  equal([(await engine.list("person")).length, (await engine.buckets()).length], [1, 2]);
  server.put(grid, "person", "p1", `{"name":"z"}`);
  const [begin, row, check] = server.bucket(grid, 4, false);
  row![row!.length - 3]! ^= 1; // as many rows, one of them with another letter
  await take(engine, (await hear(engine)).asked, [server.hello(), begin!, row!, check!]);
  equal([(await engine.incidents()).length, (await engine.list("person"))[0]!.body.get("name")], [2, '"x"']);
});

test("engine: a dropped bucket is erased and acknowledged; the outbox stays", async () => {
  const { engine, server } = await newDevice();
  await engine.capture(home, [set({ members_count: 4 }), { op: "act", ref: home, act: "check" }], clock);
  const held = (await engine.buckets()).find((b) => b.bucket === grid)!;
  await take(engine, (await hear(engine)).asked, [server.hello(), jsonFrame("d", { bucket: grid })]);
  equal([await engine.view(home), await states(engine)], [undefined, "pending"]);
  const { left, cursors } = (await hear(engine)).want!;
  equal(left, [{ bucket: grid, cursor: "inc-1:3", count: held.count, digest: held.digest }]);
  equal(cursors.map((c) => c.bucket), ["user:u"]);
});

test("engine: held is followed to its end by its outcome record; rejected keeps its content", async () => {
  const { engine, server } = await newDevice();
  await engine.capture(home, [set({ members_count: 4 })], clock);
  await engine.capture(home, [set({ code: "X" })], clock);
  server.have = 2;
  await server.answer(engine, [{ dseq: 1, status: "held", code: "stale_state", reason: "等待", expiry: 5 }, { dseq: 2, status: "rejected", code: "server_field", reason: "只能由系统填写" }]);
  equal([await states(engine), await count(engine)], ["held rejected", 4]);
  equal((await engine.content(2)).changes[0]!.fields!.get("code"), '"X"');
  await engine.dismiss(2);
  server.put("user:u", "outcome", derivedId("outcome", "d:1"), `{"bucket":"${grid}","device":"d","dseq":1,"seq":${server.seq + 1},"status":"judged"}`);
  await server.answer(engine);
  equal(await states(engine), "done dismissed"); // the grid's checkpoint is at the same seq
});

test("engine: after a gap the device goes on from where the server stands; an unknown head needs a person", async () => {
  const { engine, server } = await newDevice();
  await engine.capture(home, [set({ members_count: 4 })], clock);
  await engine.capture(home, [set({ members_count: 5 })], clock);
  server.have = 2;
  await server.answer(engine, [{ dseq: 1, status: "judged" }, { dseq: 2, status: "judged" }]);
  equal((await hear(engine)).groups.length, 0);
  const head = (await engine.outbox())[0]!.head;
  equal(await engine.refused(new Refusal("dseq_gap", "", 1, head)), true);
  equal([(await hear(engine)).groups.length, await states(engine)], [1, "done pending"]);
  equal(await engine.refused(new Refusal("dseq_gap", "", 1, "00".repeat(32))), false);
  equal([(await engine.state()).trouble, (await hear(engine)).groups.length], ["dseq_gap", 0]);
});

test("engine: a larger have says nothing of outcomes, and one beyond the next number is a fork", async () => {
  const { engine, server } = await newDevice();
  await engine.capture(home, [set({ members_count: 4 })], clock);
  server.have = 1;
  equal((await server.answer(engine)).more, true);
  equal((await hear(engine)).groups.length, 1);
  server.have = 2;
  await server.answer(engine);
  equal((await engine.state()).trouble, "fork");
});

test("engine: a new identity reissues what is kept, with its origin, and renames the bases", async () => {
  const { engine } = await newDevice();
  await engine.capture(home, [set({ members_count: 4 })], clock);
  await engine.capture(home, [set({ members_count: 5 })], clock);
  await engine.refused(new Refusal("fork"));
  equal(await engine.reissue(identity("d2"), seedSigner(new Uint8Array(32).fill(6))), 2);
  const [first, second] = (await hear(engine)).groups.map(parseGroup);
  equal([first!.device, first!.origin!.device, first!.origin!.dseq, second!.dseq, second!.changes[0]!.base!.get("members_count")], ["d2", "d", 1, 2, "d2:1"]);
  equal((await engine.state()).trouble, "");
  await rejects(engine.reissue({ ...identity("d3"), user: "other" }, seedSigner(new Uint8Array(32))), "another user's identity");
});

test("engine: rows of a lost life of the server are kept as witnesses until they are counted", async () => {
  const { engine, server } = await newDevice();
  server.put(grid, "person", "p1", `{"name":"x"}`);
  await server.answer(engine);
  const restored = new Server();
  restored.incarnation = "inc-2";
  restored.put("user:u", "note", "n", "{}", "inc-2:1");
  restored.put(grid, "household", "h1", `{"code":"H-1","members_count":3}`, "inc-1:3");
  await restored.answer(engine);
  const heard = await hear(engine);
  equal(heard.types, "HVVWE"); // the grant and the person; what stands there again is no witness, and neither are keys
  await take(engine, heard.asked, [jsonFrame("h", { incarnation: "inc-2", now: 1, have: 0, witnessed: 1 })]);
  equal((await hear(engine)).types, "HVWE");
});

test("engine: acknowledged groups are forgotten when a backup holds them, but the last", async () => {
  const { engine, server } = await newDevice();
  for (let i = 1; i <= 4; i++) await engine.capture(home, [set({ members_count: i })], clock);
  server.have = 4;
  await server.answer(engine, [1, 2, 3, 4].map((dseq) => ({ dseq, status: "judged" })));
  server.safe = 3;
  await server.answer(engine);
  equal((await engine.outbox()).map((x) => x.dseq), [3, 4]);
});

test("engine: frames that cannot be where they are, and receipts of others, are refused", async () => {
  const { engine, server } = await newDevice();
  const { asked } = await hear(engine);
  const begin = jsonFrame("b", { bucket: grid, from: 3 });
  const bad: Record<string, Uint8Array[]> = {
    "no hello": [begin],
    "a desk's bucket": [server.hello(), jsonFrame("b", { bucket: "desk:430681", from: 0 })],
    "two buckets at once": [server.hello(), begin, begin],
    "a checkpoint without a bucket": [server.hello(), jsonFrame("c", { bucket: grid, incarnation: "inc-1", seq: 3, count: 0, digest: "" })],
    "a forged receipt": [server.hello(), jsonFrame("q", { receipt: "{}", sig: "AAAA" })],
    "a number that is a text": [jsonFrame("h", { incarnation: "inc-1", have: "1" })],
  };
  for (const [what, frames] of Object.entries(bad)) await rejects(take(engine, asked, frames), what);
  await take(engine, asked, [server.hello(), jsonFrame("Z", { later: true })]); // a frame of a later version
});

test("store: a transaction that fails leaves nothing", async () => {
  const s = await newStore();
  await rejects(s.update(async (t) => {
    await t.put("a", Uint8Array.of(1));
    throw new Error("no");
  }), "a failing transaction");
  equal(await s.view((t) => t.scan("")), []);
  await s.update(async (t) => {
    await Promise.all([t.put("b/2", Uint8Array.of(2)), t.put("b/1", Uint8Array.of(1)), t.put("c", Uint8Array.of(3))]);
    equal((await t.scan("b/")).map(([k]) => k), ["b/1", "b/2"]);
  });
  equal((await s.view((t) => t.get("c")))?.[0], 3);
});

test("parsed objects keep names that JavaScript gives meaning to", () => {
  equal([...parseFields('{"__proto__":1,"constructor":2}').keys()], ["__proto__", "constructor"]);
});
