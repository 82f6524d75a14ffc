package loop

import (
	"crypto/ed25519"

	"aidloop/syncproto"
)

// After the database was put back from a backup, devices send again what it lost, with the receipts that the lost life
// had signed. Its times are adopted: when something was captured and received does not move by a restore, and neither do
// deadlines that hang on it.

// oldTime names a group as a receipt does.
type oldTime struct {
	dseq uint64
	hash string
}

// oldTimes reads the receipts that came with a push. Those that this server did not sign for the device say nothing.
func (l *Loop) oldTimes(sign *syncproto.Sign) map[oldTime]syncproto.GroupTime {
	if len(sign.Receipts) == 0 {
		return nil
	}
	key := l.secrets.Signing.Public().(ed25519.PublicKey)
	times := map[oldTime]syncproto.GroupTime{}
	for i := range sign.Receipts {
		s := &sign.Receipts[i]
		if len(s.Receipt) > syncproto.MaxReceiptBytes || !s.Verify(key) {
			continue
		}
		r, err := syncproto.ParseReceipt([]byte(s.Receipt))
		if err != nil || r.Device != sign.Device {
			continue
		}
		for _, t := range r.Times {
			name := oldTime{t.Dseq, t.Hash}
			if was, ok := times[name]; !ok || t.Received < was.Received {
				times[name] = t
			}
		}
	}
	return times
}

// adopted is what a lost life had fixed for a group, never later than now; ok is false where nothing says so.
func (a *arrival) adopted(i int, now int64) (t syncproto.GroupTime, ok bool) {
	t, ok = a.times[oldTime{a.Request.Groups[i].Dseq, syncproto.ShortHash(a.hashes[i])}]
	t.Received = min(t.Received, now)
	t.Corrected = min(t.Corrected, t.Received)
	return t, ok && t.Received > 0 && t.Corrected > 0
}

// fixedTimes are the times of the groups that a push was answered for, for its receipt.
func fixedTimes(a *arrival, out *Pushed, received map[uint64]int64, now int64) (list []syncproto.GroupTime) {
	for i, o := range out.Outcomes.Groups {
		at := o.Received
		if at == 0 {
			at = now
			if r, ok := received[o.Dseq]; ok {
				at = r
			}
		}
		if o.Time > 0 && i < len(a.hashes) {
			list = append(list, syncproto.GroupTime{Dseq: o.Dseq, Hash: syncproto.ShortHash(a.hashes[i]), Received: at, Corrected: o.Time})
		}
	}
	return list
}
