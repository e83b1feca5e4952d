-- The tables of class.sqlite, schema 3. Times are ISO 8601 in UTC, marks are exact decimals as text.

CREATE TABLE class (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  assignment_id TEXT NOT NULL,
  title TEXT NOT NULL,
  course TEXT NOT NULL,
  max_marks TEXT NOT NULL,
  definition_sha256 TEXT NOT NULL,
  truth_sha256 TEXT NOT NULL,
  truth_stamp TEXT NOT NULL,          -- sizes and times of the truth's files when it was last read
  setup TEXT NOT NULL,                -- JSON: what the command was given
  created_at TEXT NOT NULL
) STRICT;

CREATE TABLE submission (
  key TEXT PRIMARY KEY,
  position INTEGER NOT NULL,
  zip_path TEXT NOT NULL,
  zip_name TEXT NOT NULL,
  entry_number TEXT,
  name TEXT,
  email TEXT,
  submitted_at TEXT,
  late_seconds REAL,
  timing TEXT,                        -- JSON object: what late_seconds is reckoned from
  platform_ids TEXT NOT NULL,         -- JSON object
  findings TEXT NOT NULL,             -- JSON list: what was noted at the door
  late_penalty TEXT NOT NULL DEFAULT '0',
  zip_stamp TEXT NOT NULL DEFAULT '', -- size and times of the zip that the result belongs to
  state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'parked')),
  why TEXT NOT NULL,                  -- the reason of the grading that is due or was done last
  who TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0, -- of the grading that is due or was done last
  fault TEXT,                         -- the grader's own, of the last attempt that failed
  running_since TEXT,
  running_on TEXT,
  stage TEXT,
  owners TEXT NOT NULL DEFAULT '[]'   -- JSON list: whose it is, one by one
) STRICT;

-- Who of the roster handed in nothing, by the last run that looked at the door.
CREATE TABLE absent (
  key TEXT PRIMARY KEY,
  position INTEGER NOT NULL,
  entry_number TEXT,
  name TEXT,
  email TEXT,
  platform_ids TEXT NOT NULL          -- JSON object
) STRICT;

-- The last comparison of the class with itself (`grader similar`).
CREATE TABLE comparison (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  rests_on TEXT NOT NULL,             -- a hash of all that went into it
  compared_at TEXT NOT NULL,
  summary TEXT NOT NULL               -- in words
) STRICT;

-- Rows are only ever added: the last one of a submission counts, the others are its history.
CREATE TABLE result (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL REFERENCES submission (key),
  graded_at TEXT NOT NULL,
  who TEXT NOT NULL,
  why TEXT NOT NULL,
  zip_sha256 TEXT NOT NULL,
  truth_sha256 TEXT NOT NULL,
  definition_sha256 TEXT NOT NULL,
  grader TEXT NOT NULL,
  seconds REAL NOT NULL,
  verdict TEXT NOT NULL,
  marks TEXT NOT NULL,
  awards TEXT NOT NULL,               -- JSON object: criterion → marks
  report BLOB NOT NULL                -- report.json, compressed by zlib
) STRICT;
CREATE INDEX result_of ON result (key, number);

CREATE TABLE adjustment (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL REFERENCES submission (key),
  criterion TEXT NOT NULL,
  marks TEXT NOT NULL,
  because TEXT NOT NULL,
  who TEXT NOT NULL,
  made_at TEXT NOT NULL
) STRICT;
CREATE INDEX adjustment_of ON adjustment (key, number);

-- Attempts that failed through the grader's own fault.
CREATE TABLE failure (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL REFERENCES submission (key),
  failed_at TEXT NOT NULL,
  worker TEXT NOT NULL,
  fault TEXT NOT NULL
) STRICT;
