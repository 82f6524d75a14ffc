package casework

// RelocationMachine takes a household that moves from the place that helps it to the one that will, so that neither a
// month is missed nor one is paid twice (notice, part 4: 易地搬迁). Within the county the other town takes the household
// over as it is, and its help goes on until that town has reviewed it; out of the county, help goes on until the place
// there says from when it pays.
var RelocationMachine = &Machine{"relocation", "迁移接续", []Transition{
	{"", "propose", mover, "reasoned", "proposed"},
	{"proposed", "accept", mover, "receives", "moved"},
	{"proposed", "decline", mover, "receives_reasoned", "declined"},
	{"declined", "accept", bureau, "reasoned", "moved"},
	{"proposed", "drop", mover, "sends_reasoned", "cancelled"},
	{"declined", "drop", mover, "sends_reasoned", "cancelled"},
	{"", "hand_over", bureau, "reasoned", "handed_over"},
	{"handed_over", "confirm", bureau, "seamless", "closed"},
	{"handed_over", "drop", bureau, "reasoned", "cancelled"},
	{"moved", "finish", system, "", "closed"},
}}

var mover = []Role{RoleTownReviewer, RoleTownLeader, RoleBureauOfficer}

func receives(f Facts) error { return require(f.Receives, "由迁入的镇(街道)接收。") }
func sends(f Facts) error    { return require(f.Sends, "由迁出的镇(街道)撤销。") }

// seamless: the first month paid there follows the last one paid here.
func seamless(f Facts) error {
	switch {
	case f.NextMonth == "":
		return require(false, "请填写迁入地起发月份,写成2026-07的样子。")
	case f.LastPaid == "":
		return nil // nothing was paid here
	case f.NextMonth <= f.LastPaid:
		return require(false, "本县已发放至"+f.LastPaid+",迁入地不能重复发放同月,请改为之后的月份或先追回。")
	}
	want := AddMonths(f.LastPaid+"-01", 1)[:7]
	return require(f.NextMonth == want, "本县已发放至"+f.LastPaid+",迁入地应从"+want+"起发;中间的月份请先补发。")
}
