package casework

import "slices"

// Place says whose standards count.
type Place struct {
	Region string // the 12-digit code of the village
	Urban  bool
}

// maxTerm bounds a time that somebody typed in.
const maxTerm = 366

// terms are the times that hold where nobody set another one.
var terms = slices.Concat(applicationTimes, reviewTimes, orderTimes, shareTimes, leadTimes, defaultThresholds)

// Term is a time in force at a place on the day, "2006-01-02", on which it begins: so many months or days, as its unit says.
func (s Standards) Term(code string, at Place, day string) (int, error) {
	area := "rural"
	if at.Urban {
		area = "urban"
	}
	x, err := s.At(code, at.Region, area, day)
	if err != nil {
		x, err = terms.At(code, at.Region, area, day)
	}
	return int(min(x.Value, maxTerm)), err
}
