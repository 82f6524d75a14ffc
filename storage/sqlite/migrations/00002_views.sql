-- Views for reports. They read the very bytes that devices hash: nothing is copied, so nothing can disagree. Sealed
-- fields are left out, since SQL cannot open them. Amounts are in fen (1/100 yuan), times are RFC 3339 text, dates
-- 2006-01-02.

-- +goose Up

CREATE VIEW v_households AS
SELECT r.id, b.name AS bucket, r.region, r.state,
       r.body ->> '$.code' AS code, r.body ->> '$.town' AS town, r.body ->> '$.village' AS village,
       r.body ->> '$.grid' AS grid, r.body ->> '$.members_count' AS members_count,
       r.body ->> '$.income_year' AS income_year, r.body -> '$.categories' AS categories
FROM records r JOIN buckets b ON b.n = r.bucket
WHERE r.kind = 'household' AND r.deleted = 0;

CREATE VIEW v_leads AS
SELECT r.id, b.name AS bucket, r.region, r.state, r.due AS due_on,
       r.body ->> '$.household' AS household, r.body ->> '$.lead_type' AS lead_type,
       r.body ->> '$.source' AS source, r.body ->> '$.town' AS town, r.body ->> '$.village' AS village,
       r.body ->> '$.grid' AS grid, r.body ->> '$.received_at' AS received_at,
       r.body ->> '$.due_provisional' AS due_provisional, r.body ->> '$.assignee' AS assignee,
       r.body ->> '$.acknowledged_at' AS acknowledged_at, r.body ->> '$.priority' AS priority,
       r.body ->> '$.duplicate_of' AS duplicate_of, r.body ->> '$.visit' AS visit,
       r.body ->> '$.disposition' AS disposition
FROM records r JOIN buckets b ON b.n = r.bucket
WHERE r.kind = 'lead' AND r.deleted = 0;

CREATE VIEW v_visits AS
SELECT r.id, b.name AS bucket, r.region, r.state,
       r.body ->> '$.household' AS household, r.body ->> '$.lead' AS lead, r.body ->> '$.form' AS form,
       r.body ->> '$.form_version' AS form_version, r.body ->> '$.surveyor_1' AS surveyor_1,
       r.body ->> '$.visited_at' AS visited_at, r.body ->> '$.mode' AS mode, r.body ->> '$.met' AS met,
       r.body ->> '$.started_at' AS started_at, r.body ->> '$.ended_at' AS ended_at, r.body ->> '$.late' AS late
FROM records r JOIN buckets b ON b.n = r.bucket
WHERE r.kind = 'visit' AND r.deleted = 0;

CREATE VIEW v_dispositions AS
SELECT r.id, b.name AS bucket, r.region, r.state,
       r.body ->> '$.lead' AS lead, r.body ->> '$.household' AS household, r.body ->> '$.visit' AS visit,
       r.body ->> '$.result' AS result, r.body -> '$.categories' AS categories,
       r.body ->> '$.proposed_by' AS proposed_by, r.body ->> '$.proposed_at' AS proposed_at,
       r.body ->> '$.verified_by' AS verified_by, r.body ->> '$.verified_at' AS verified_at,
       r.body ->> '$.fed_back_at' AS fed_back_at
FROM records r JOIN buckets b ON b.n = r.bucket
WHERE r.kind = 'disposition' AND r.deleted = 0;

CREATE VIEW v_referrals AS
SELECT r.id, b.name AS bucket, r.region, r.state, r.due AS due_on,
       r.body ->> '$.lead' AS lead, r.body ->> '$.household' AS household,
       r.body ->> '$.disposition' AS disposition, r.body ->> '$.to_dept' AS to_dept, r.body ->> '$.need' AS need,
       r.body ->> '$.sent_at' AS sent_at, r.body ->> '$.accepted_at' AS accepted_at,
       r.body ->> '$.result_code' AS result_code, r.body ->> '$.amount' AS amount,
       r.body ->> '$.delivered_at' AS delivered_at, r.body ->> '$.closed_at' AS closed_at
FROM records r JOIN buckets b ON b.n = r.bucket
WHERE r.kind = 'referral' AND r.deleted = 0;

CREATE VIEW v_aid AS
SELECT r.id, b.name AS bucket, r.region, r.state,
       r.body ->> '$.household' AS household, r.body ->> '$.person' AS person, r.body ->> '$.referral' AS referral,
       r.body ->> '$.programme' AS programme, r.body ->> '$.dept' AS dept, r.body ->> '$.amount' AS amount,
       r.body ->> '$.period' AS period
FROM records r JOIN buckets b ON b.n = r.bucket
WHERE r.kind = 'aid' AND r.deleted = 0;
