// The overlay: what a person sees is the server's row with everything pending merged over it.

import type { Change } from "./group.ts";
import { type Ref, type Version, sameRef } from "./ids.ts";
import { type Rules, merge } from "./merge.ts";
import { type Rec, carries } from "./record.ts";

/** PendingChange is a change of a group that lies over the server's rows. Its time is the phone's wall clock at capture. */
export interface PendingChange {
  readonly root: Ref;
  readonly change: Change;
  readonly version: Version;
}

/** Overlaid is a record as a person sees it; undefined where there is none, or where it is deleted. */
export interface Overlaid {
  readonly record: Rec | undefined;
  readonly pending: boolean; // something of it has not come back from the server
  readonly acts: readonly string[]; // workflow steps that are on their way
}

/** overlay merges pending changes, in order of capture, over the server's row. A change whose stamp the row carries
 * already is on both sides of the line and counts once; one that cannot be merged is passed over. */
export function overlay(row: Rec | undefined, ref: Ref, pending: readonly PendingChange[], rules: Rules): Overlaid {
  let record = row;
  const acts: string[] = [];
  let any = false;
  for (const p of pending) {
    if (!sameRef(p.change.ref, ref)) continue;
    any = true;
    if (p.change.op === "act") acts.push(p.change.act!);
    else if (!record || !carries(record, p.version.stamp)) {
      const m = merge(record, p.root, p.change, p.version, false, rules);
      if (m.code === "") record = m.record;
    }
  }
  return { record: record?.deleted ? undefined : record, pending: any, acts };
}
