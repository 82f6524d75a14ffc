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
package casework

// Arrows names the function of server/loop behind each arrow of the picture; a test checks that they exist.
var Arrows = []string{"ImportLeads", "Dispatch", "Assign", "Feed", "Receive", "Review", "Propose", "Verify", "Refer", "AnswerReferral", "FeedBack"}
