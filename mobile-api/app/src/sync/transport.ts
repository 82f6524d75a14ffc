// The engine over HTTP, by fetch (PROTOCOL.md § 10). When to sync, tokens and pauses are the app's.

import { fromBase64, toBase64 } from "./bytes.ts";
import type { Engine, Identity } from "./engine.ts";
import { Refusal } from "./errors.ts";
import { FrameReader } from "./frames.ts";
import type { Clock } from "./group.ts";
import type { Ask } from "./request.ts";
import type { Fault } from "./response.ts";

/** syncType is the media type of /sync/v1. */
export const syncType = "application/vnd.aidloop.sync";

const maxAnswer = 64 << 20; // bytes of a response, decompressed
const maxWait = 120_000; // milliseconds for an exchange with everything that it brings
const maxProblem = 64 << 10; // bytes of a refusal that are read

/** Problem is the server's refusal, with what HTTP says of it. */
export class Problem extends Refusal {
  constructor(
    readonly status: number,
    code: string,
    readonly title: string, // Chinese
    detail: string,
    have: number,
    head: string,
    readonly retryAfter: number, // seconds, 0 where none is named
  ) {
    super(code, detail, have, head);
  }
}

/** Tokens let the phone pull; expires is in milliseconds since 1970 UTC, by the phone's clock. The user's key goes to
 * Engine.addUserKey. */
export interface Tokens {
  access: string;
  expires: number;
  refresh: string;
  userKey: Uint8Array;
}

/** enrolAt exchanges a one-time code for a new identity. The private key never leaves the phone. */
export async function enrolAt(http: typeof fetch, server: string, code: string, publicKey: Uint8Array, name: string, catalog: number, clock: Clock): Promise<{ id: Identity; tokens: Tokens }> {
  const a = await post(http, `${server}/enrol/v1`, { code, public_key: toBase64(publicKey), name, app: "aidloop-web", catalog });
  const id: Identity = {
    device: String(a.device), user: String(a.user), userName: String(a.user_name), region: String(a.region), role: String(a.role), server,
    userKey: fromBase64(String(a.user_key)), serverKey: fromBase64(String(a.server_key)),
  };
  if (id.serverKey.length !== 32) throw new Error("the server's answer lacks a key");
  return { id, tokens: tokensOf(a, clock) };
}

/** refresh exchanges a refresh token. Keep the new tokens before the old ones are forgotten. */
export async function refresh(http: typeof fetch, server: string, token: string, clock: Clock): Promise<Tokens> {
  return tokensOf(await post(http, `${server}/auth/v1/refresh`, { refresh_token: token }), clock);
}

function tokensOf(a: Record<string, unknown>, clock: Clock): Tokens {
  const userKey = fromBase64(String(a.user_key));
  if (userKey.length !== 32) throw new Error("the server's answer lacks a key");
  return { access: String(a.access_token), expires: clock.wall + Number(a.access_expires_in) * 1000, refresh: String(a.refresh_token), userKey };
}

async function post(http: typeof fetch, url: string, body: object): Promise<Record<string, unknown>> {
  const res = await http(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal: AbortSignal.timeout(maxWait) });
  if (!res.ok) throw await problem(res);
  return (await res.json()) as Record<string, unknown>;
}

async function problem(res: globalThis.Response): Promise<Problem> {
  let p: Record<string, unknown> = {};
  try {
    p = JSON.parse((await res.text()).slice(0, maxProblem)) as Record<string, unknown>;
  } catch {
    // A gateway has words of its own.
  }
  const code = typeof p.code === "string" && p.code !== "" ? p.code : `http_${res.status}`;
  const have = Number.isSafeInteger(p.have) ? (p.have as number) : 0;
  return new Problem(res.status, code, String(p.title ?? ""), String(p.detail ?? ""), have, String(p.head ?? ""), Number(res.headers.get("retry-after")) || 0);
}

/** exchange sends one request and takes its response as it streams in. A Problem says that nothing was stored; give it to
 * Engine.refused. Whatever arrived before any other error stays. */
export async function exchange(engine: Engine, http: typeof fetch, token: string, clock: () => Clock, ask: Ask = {}): Promise<{ more: boolean; fault: Fault | undefined }> {
  const asked = await engine.request(clock(), ask);
  const headers: Record<string, string> = { "content-type": syncType };
  if (token !== "") headers.authorization = `Bearer ${token}`;
  let body = asked.bytes;
  if (body.length > 512 && "CompressionStream" in globalThis) {
    body = await gzip(body);
    headers["content-encoding"] = "gzip";
  }
  const signal = AbortSignal.timeout(maxWait); // fetch itself waits for ever
  const res = await http(`${engine.identity.server}/sync/v1`, { method: "POST", headers, body: body as Uint8Array<ArrayBuffer>, signal });
  if (!res.ok) throw await problem(res);
  const response = engine.response(clock(), asked);
  const reader = new FrameReader();
  const stream = res.body!.getReader(); // decompressed by fetch itself
  let size = 0;
  for (let part = await stream.read(); !part.done; part = await stream.read()) {
    if ((size += part.value.length) > maxAnswer) throw new Refusal("too_large", "the response is larger than allowed");
    for (const f of reader.push(part.value)) await response.frame(f);
  }
  reader.end();
  return response.finish();
}

async function gzip(b: Uint8Array): Promise<Uint8Array> {
  const packed = new Blob([b as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new globalThis.Response(packed).arrayBuffer());
}

/** sync exchanges until nothing is left on either side, and returns why rows are missing, if they are. */
export async function sync(engine: Engine, http: typeof fetch, token: string, clock: () => Clock): Promise<Fault | undefined> {
  for (;;) {
    try {
      const { more, fault } = await exchange(engine, http, token, clock);
      if (!more) return fault;
    } catch (e) {
      if (!(e instanceof Refusal) || !(await engine.refused(e))) throw e;
    }
  }
}
