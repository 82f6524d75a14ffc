// Package casework is the domain of the closed loop: kinds and fields, state machines, guards, access rules, working
// days, as tables of data and functions from values to values. It knows no HTTP, no SQL and no clock.
//
//	province, matching, self-report, department, patrol
//	        │ loop.ImportLeads
//	        ▼
//	      lead: new ──loop.Dispatch──▶ dispatched (40 working days start) ──loop.Assign──▶ assigned
//	                                                                                         │ loop.Feed
//	                                                                                         ▼
//	      town_review ◀──loop.Receive── visit submitted ◀──────── captured offline on the phone
//	        │    │ ▲                                                                         ▲
//	        │    │ └── corrected, loop.Receive ◀── returned question by question ── loop.Review
//	        │    └──── approved ── loop.Review
//	        ▼
//	      proposed ── loop.Propose ──▶ county_review ── loop.Verify ──▶ verified | returned | conference
//	                                                                      │
//	        ┌── loop.Refer ──▶ referral ── loop.AnswerReferral ──▶ result ┤
//	        ▼                                                             ▼
//	   the department                                  feedback_sent ── loop.FeedBack ──▶ closed, and on the phone by loop.Feed
//
// A household's application (救助申请) starts from a disposition, a visit or its record, at the window or on the phone:
//
//	draft, filled in from what is known ── loop.Apply, loop.FillApplication ──▶ submitted ⇄ supplement, asked once
//	                                                                               │ loop.StepApplication, from here on
//	   terminated ◀── uncooperative ── investigating ◀── accepted (30 working days start) ◀┘
//	                                        │
//	   objected, reinvestigating ◀── publicizing (7 days) ◀── preliminary, beside what the rules suggest
//	        └──────────┬──────────────────┘
//	             county_review ──▶ denied, told in writing ──▶ closed ◀── active ◀── confirmed
//
// Around it:
//
//	a lead that a department owes ── loop.SendToDept ──▶ the department, whose feedback ends it
//	what is late ── loop.Advance, loop.IssueOrder ──▶ order, urged, then supervised ── loop.StepOrder ──▶ answered
//	help that runs ── loop.Advance ──▶ periodic review ── loop.StepReview ──▶ kept, adjusted, in grace, ended and watched
//	departments' lists ── loop.LoadDataset, loop.PushRows, loop.MatchChanges ──▶ leads
//	a department's need ── loop.RequestData, loop.StepDataNeed ──▶ register ── loop.MakePackages, loop.LookUp ──▶ the department
//	a household that moves ── loop.ProposeRelocation, loop.StepRelocation ──▶ the other town, without a gap
package casework

// Arrows names the function of server/loop behind each arrow of the picture; a test checks that they exist.
var Arrows = []string{"ImportLeads", "Dispatch", "Assign", "Feed", "Receive", "Review", "Propose", "Verify", "Refer", "AnswerReferral", "FeedBack",
	"Apply", "FillApplication", "StepApplication", "SendToDept", "Advance", "IssueOrder", "StepOrder", "StepReview", "LoadDataset", "PushRows", "MatchChanges",
	"RequestData", "StepDataNeed", "MakePackages", "LookUp", "ProposeRelocation", "StepRelocation"}
