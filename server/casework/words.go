package casework

import (
	"fmt"
	"strings"
)

// Words writes a value as people read it: codes by their labels, money in 元; "" for a value that is none. Whole numbers
// are int64, as canonical JSON decodes to.
func (f Field) Words(v any) string {
	switch v := v.(type) {
	case string:
		return Label(f.Enum, v)
	case bool:
		if v {
			return "是"
		}
		return "否"
	case []any:
		list := make([]string, 0, len(v))
		for _, item := range v {
			if text := f.Words(item); text != "" {
				list = append(list, text)
			}
		}
		return strings.Join(list, "、")
	}
	n, ok := v.(int64)
	switch {
	case !ok:
		return ""
	case f.Type == Money:
		return Yuan(n)
	}
	return fmt.Sprint(n)
}

// Tabular are a kind's fields that a table of its records has columns for: those in the open that are one value or a list
// of codes, but for the state, which every table begins with.
func (k *Kind) Tabular() (list []Field) {
	for _, f := range k.Fields {
		if !f.Sealed && f.Name != "state" && f.Type != Object && f.Type != List && f.Type != Any {
			list = append(list, f)
		}
	}
	return list
}
