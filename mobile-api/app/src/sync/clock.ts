import type { Clock } from "./group.ts";

/** correctTime says when a change was made, as the server fixes it at receipt (PROTOCOL.md § 7). Milliseconds. */
export function correctTime(captured: Clock, atPush: Clock, received: number, floor: number): number {
  let ago = atPush.wall - captured.wall;
  if (captured.boot !== "" && captured.boot === atPush.boot && atPush.mono >= captured.mono) ago = atPush.mono - captured.mono;
  const t = ago > 0 && ago < received ? received - ago : received;
  return Math.min(Math.max(t, floor), received);
}
