package loop

import (
	"context"

	"aidloop/server/casework"
)

// Incidents lists what did not add up on the devices of the caller's region, newest first, from at most limit incidents
// before the given one (0: from the newest). Next continues the list; it is 0 at the end.
func (l *Loop) Incidents(ctx context.Context, by casework.Actor, before int64, limit int) (list []Incident, next int64, err error) {
	if err := by.May(casework.VerbReadIncidents, casework.Subject{Kind: "incident", Region: by.Region}); err != nil {
		return nil, 0, err
	}
	if limit <= 0 || limit > 500 {
		limit = 200
	}
	err = l.store.Read(ctx, func(tx ReadTx) error {
		list, next = []Incident{}, 0
		all, err := tx.Incidents(before, limit)
		if err != nil {
			return err
		}
		for _, i := range all {
			if by.May(casework.VerbReadIncidents, casework.Subject{Kind: "incident", Region: incidentRegion(tx, i)}) == nil {
				list = append(list, i)
			}
		}
		if len(all) == limit {
			next = all[limit-1].ID
		}
		return nil
	})
	return list, next, err
}

// incidentRegion is where an incident belongs: the bucket's grid, else where the device's user works.
func incidentRegion(tx ReadTx, i Incident) string {
	if r := regionOf(i.Bucket); r != "" {
		return r
	}
	return regionOfDevice(tx, i.Device)
}

// regionOfDevice is where a device's user works, or "".
func regionOfDevice(tx ReadTx, device string) string {
	d, err := tx.Device(device)
	if err != nil {
		return ""
	}
	u, err := tx.User(d.User)
	if err != nil {
		return ""
	}
	return u.Region
}
