package casework

import (
	"fmt"
	"strings"
)

// Served counts what an unemployed person was offered in a year.
type Served struct{ Offers, Guidance, Training int }

// Add counts one service, by the words of the dataset "job_services" or by the code of the measure; other words count for nothing.
func (s *Served) Add(kind string) {
	switch kind {
	case "offer", "岗位推荐", "岗位信息", "job_offer":
		s.Offers++
	case "guidance", "职业指导", "job_guidance":
		s.Guidance++
	case "training", "职业培训", "job_training":
		s.Training++
	}
}

// Lacks says in words what a person lacks of the yearly "311" (notice, part 4, employment bureau: three job offers, one
// guidance, one training); "" for nothing. The number of offers is a parameter.
func (s Served) Lacks(at Place, day string, standards Standards) (string, error) {
	offers, err := standards.Term(stdOffers, at, day)
	if err != nil {
		return "", err
	}
	var list []string
	if n := offers - s.Offers; n > 0 {
		list = append(list, fmt.Sprintf("岗位推荐%d次", n))
	}
	if s.Guidance < 1 {
		list = append(list, "职业指导1次")
	}
	if s.Training < 1 {
		list = append(list, "职业培训1次")
	}
	return strings.Join(list, "、"), nil
}
