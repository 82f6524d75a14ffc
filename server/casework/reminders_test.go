package casework_test

import (
	"slices"
	"testing"

	"aidloop/server/casework"
)

func TestWarningsComeAtTenFiveAndTwo(t *testing.T) {
	for left, want := range map[int]int{10: 10, 9: 10, 6: 10, 5: 5, 3: 5, 2: 2, 1: 2, 0: 2, -1: casework.Overdue, -40: casework.Overdue} {
		if got, due := casework.WarningAt(left); !due || got != want {
			t.Errorf("%d working days left: warning %d %v", left, got, due)
		}
	}
	if _, due := casework.WarningAt(11); due {
		t.Error("a warning with 11 working days left")
	}
	if !slices.IsSortedFunc(casework.Warnings, func(a, b int) int { return b - a }) {
		t.Error("the warnings are not in descending order")
	}
	for _, s := range casework.LeadsRunning {
		if !slices.Contains(casework.LeadMachine.States(), s) {
			t.Errorf("a lead is never %q", s)
		}
	}
}
