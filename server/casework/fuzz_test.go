package casework_test

import (
	"encoding/json"
	"testing"

	"aidloop/server/casework"
)

// A form's record is read or refused; what is read can be asked everything.
func FuzzForm(f *testing.F) {
	f.Add([]byte(`{"form_id":"v","version":"1","questions":[{"name":"met","type":"select_one","maps_to":"visit.met","required":true,"relevant":{"question":"x","in":["a"]}}]}`))
	f.Add([]byte(`{"form_id":"v","questions":[{"name":"g","questions":[{"name":"h","questions":[{"name":"i","questions":[{}]}]}]}]}`))
	f.Add([]byte(`{"questions":[null,1,"x"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m map[string]any
		if json.Unmarshal(b, &m) != nil {
			return
		}
		form, err := casework.FormFrom(m)
		if err != nil {
			return
		}
		for _, q := range form.Questions {
			if !form.Has(q.Name) || form.Field(q.Name) == "" {
				t.Fatalf("question %q is lost", q.Name)
			}
		}
		form.Missing(func(string) (any, bool) { return nil, false })
	})
}
