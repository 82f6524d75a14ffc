package casework

import (
	"fmt"
	"slices"
	"strings"
)

// Standard is one number that policy decides: a line, a ratio, a period. It holds in a region and all that it contains,
// for urban or rural households or for both, from a date until, but not including, another one. Numbers differ from
// place to place and change, at times in the middle of a year, so none stands in the code.
type Standard struct {
	Code   string
	Region string // a 12-digit code; "" for everywhere
	Area   string // "urban", "rural" or "all"
	Value  int64
	Unit   string // "fen_month", "fen_year", "fen_total", "permille", "months", "years", "count", "workdays", "days"
	From   string // "2006-01-02"
	Until  string // "" for no end
	Source string // the document that sets it, or "demo"
}

// The codes of the standards that classification reads.
const (
	StdDibao      = "dibao_line"           // per head and month
	StdMarginal   = "marginal_ratio"       // permille of the dibao line
	StdAssets     = "asset_limit"          // financial assets per head
	StdHomes      = "home_limit"           // homes of a household
	StdVehicles   = "vehicle_limit"        // vehicles of a household, exempt ones apart
	StdDisposable = "disposable_income"    // last year's, per head and year
	StdRigid      = "rigid_ratio"          // expenses as permille of income
	StdRigidValid = "rigid_valid"          // months that such a decision lasts at most
	StdMonitoring = "fpfp_line"            // per head and year
	StdBorderline = "borderline_ratio"     // permille around a line within which people should look; 0 for nowhere
	StdTekunAge   = "tekun_age"            // years from which there is no labour capacity
	StdTekunMinor = "tekun_minor_age"      // years below which there is none
	excludedKind  = "excluded_income_kind" // a prefix: kinds of income that do not count, see Standards.Excluded
)

// Standards are all that are known, in any order.
type Standards []Standard

// missingStandard is the refusal to compute with a number that nobody has set.
func missingStandard(code, date string) error {
	return NewError("standard_missing", fmt.Sprintf("没有在%s生效的标准“%s”,请管理员先录入。", date, code))
}

// At returns the standard in force on a date in a region for an area ("urban" or "rural"): that of the smallest region
// that contains the place, one for the area before one for all, and the newest where several began. The error has the
// code "standard_missing".
func (s Standards) At(code, region, area, date string) (Standard, error) {
	best, rank := Standard{}, -1
	for _, x := range s {
		if x.Code != code || x.From > date || x.Until != "" && x.Until <= date || x.Area != area && x.Area != "all" {
			continue
		}
		prefix := RegionPrefix(x.Region)
		if x.Region != "" && (prefix == "" || !strings.HasPrefix(region, prefix)) {
			continue
		}
		r := 2 * len(prefix)
		if x.Area == area {
			r++
		}
		if r > rank || r == rank && x.From > best.From {
			best, rank = x, r
		}
	}
	if rank < 0 {
		return best, missingStandard(code, date)
	}
	return best, nil
}

// Excluded lists the kinds of income that do not count on a date in a region, such as bereavement pay or scholarships:
// each is a standard whose code begins with "excluded_income_kind:" and whose value is not 0.
func (s Standards) Excluded(region, area, date string) []string {
	var kinds []string
	for _, x := range s {
		kind, ok := strings.CutPrefix(x.Code, excludedKind+":")
		if !ok || slices.Contains(kinds, kind) {
			continue
		}
		if now, err := s.At(x.Code, region, area, date); err == nil && now.Value != 0 {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// Check says what is wrong with a standard that somebody typed in.
func (s Standard) Check() error {
	switch {
	case s.Code == "" || len(s.Code) > 64 || len(s.Source) > 200:
		return NewError(CodeInvalidValue, "请填写标准的代码和依据文件。")
	case s.Source == "":
		return NewError(CodeInvalidValue, "请填写标准的依据文件。")
	case s.Region != "" && RegionPrefix(s.Region) == "":
		return NewError(CodeInvalidValue, "地区应为12位区划代码。")
	case !slices.Contains([]string{"urban", "rural", "all"}, s.Area):
		return NewError(CodeInvalidValue, "适用范围应为城市、农村或全部。")
	case s.Value < 0:
		return NewError(CodeInvalidValue, "标准的数值不能是负数。")
	case !plausibleDay(s.From) || s.Until != "" && !plausibleDay(s.Until):
		return NewError(CodeInvalidValue, "日期应写成2026-07-01的样子。")
	case s.Until != "" && s.Until <= s.From:
		return NewError(CodeInvalidValue, "失效日期应在生效日期之后。")
	}
	return nil
}
