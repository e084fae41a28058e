BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE asset_states (
	asset_id BIGINT NOT NULL, 
	partition TEXT NOT NULL, 
	last_version INTEGER DEFAULT '0' NOT NULL, 
	current_id BIGINT, 
	failed_at BIGINT, 
	error TEXT, 
	failed_run TEXT, 
	held INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_asset_states PRIMARY KEY (asset_id, partition), 
	CONSTRAINT fk_asset_states_asset_id FOREIGN KEY(asset_id) REFERENCES assets (id), 
	CONSTRAINT fk_asset_states_current_id FOREIGN KEY(current_id) REFERENCES materializations (id)
);
INSERT INTO "asset_states" VALUES(1,'',2,2,NULL,NULL,NULL,0);
INSERT INTO "asset_states" VALUES(2,'',0,NULL,1714564800123456,'boom','r1',0);
CREATE TABLE assets (
	id INTEGER NOT NULL, 
	env TEXT NOT NULL, 
	name TEXT NOT NULL, 
	CONSTRAINT pk_assets PRIMARY KEY (id), 
	CONSTRAINT uq_assets_env_name UNIQUE (env, name)
);
INSERT INTO "assets" VALUES(1,'default','a');
INSERT INTO "assets" VALUES(2,'default','b');
CREATE TABLE code_versions (
	code_version TEXT NOT NULL, 
	components TEXT NOT NULL, 
	CONSTRAINT pk_code_versions PRIMARY KEY (code_version)
);
INSERT INTO "code_versions" VALUES('c1','[["body","h1"]]');
CREATE TABLE details (
	materialization_id BIGINT NOT NULL, 
	content BLOB NOT NULL, 
	CONSTRAINT pk_details PRIMARY KEY (materialization_id), 
	CONSTRAINT fk_details_materialization_id FOREIGN KEY(materialization_id) REFERENCES materializations (id)
);
INSERT INTO "details" VALUES(2,X'7B2270726576696577223A7B226B696E64223A226E6F6E65222C22636F6C756D6E73223A5B5D2C22647479706573223A5B5D2C22726F7773223A5B5D2C2274657874223A22222C22696D616765223A22227D2C22646973706C617973223A5B7B22746578742F706C61696E223A226869227D5D7D');
CREATE TABLE events (
	id INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	env TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	asset_id BIGINT, 
	partition TEXT, 
	run_id TEXT, 
	data TEXT NOT NULL, 
	CONSTRAINT pk_events PRIMARY KEY (id), 
	CONSTRAINT fk_events_asset_id FOREIGN KEY(asset_id) REFERENCES assets (id)
);
INSERT INTO "events" VALUES(1,1714564800123456,'default','run_queued',NULL,NULL,'r1','{"trigger":"manual","job":null}');
INSERT INTO "events" VALUES(2,1714564800123456,'default','run_claimed',NULL,NULL,'r1','{"worker":"h/b/n/7/1700000000.25"}');
INSERT INTO "events" VALUES(3,1714564800123456,'default','run_started',NULL,NULL,'r1','{}');
INSERT INTO "events" VALUES(4,1714564800123456,'default','asset_materialized',1,'',NULL,'{"version":1,"data_version":"d:a/1"}');
INSERT INTO "events" VALUES(5,1714564800123456,'default','asset_materialized',1,'','r1','{"version":2,"data_version":"d:a/2"}');
INSERT INTO "events" VALUES(6,1714564800123456,'default','asset_failed',2,'','r1','{"error":"boom"}');
INSERT INTO "events" VALUES(7,1714564860123456,'default','step_succeeded',NULL,NULL,'r1','{"step":0}');
INSERT INTO "events" VALUES(8,1714564860123456,'default','run_succeeded',NULL,NULL,'r1','{}');
CREATE TABLE materializations (
	id INTEGER NOT NULL, 
	asset_id BIGINT NOT NULL, 
	partition TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	code_version TEXT NOT NULL, 
	run_id TEXT, 
	created_at BIGINT NOT NULL, 
	superseded_event BIGINT, 
	expired INTEGER DEFAULT '0' NOT NULL, 
	facts TEXT NOT NULL, 
	CONSTRAINT pk_materializations PRIMARY KEY (id), 
	CONSTRAINT uq_materializations_asset_id_partition_version UNIQUE (asset_id, partition, version), 
	CONSTRAINT fk_materializations_asset_id FOREIGN KEY(asset_id) REFERENCES assets (id), 
	CONSTRAINT fk_materializations_code_version FOREIGN KEY(code_version) REFERENCES code_versions (code_version)
);
INSERT INTO "materializations" VALUES(1,1,'',1,'c1',NULL,1714564800123456,5,0,'{"stored":{"io":"files","format":"json","path":"a/1","size":3,"data_version":"d:a/1","opaque":false,"type":"","metadata":{},"preview":{"kind":"none","columns":[],"dtypes":[],"rows":[],"text":"","image":""}},"duration":0.0}');
INSERT INTO "materializations" VALUES(2,1,'',2,'c1','r1',1714564800123456,NULL,0,'{"stored":{"io":"files","format":"json","path":"a/2","size":3,"data_version":"d:a/2","opaque":false,"type":"","metadata":{},"preview":{"kind":"none","columns":[],"dtypes":[],"rows":[],"text":"","image":""}},"duration":0.0}');
CREATE TABLE plans (
	run_id TEXT NOT NULL, 
	content BLOB NOT NULL, 
	CONSTRAINT pk_plans PRIMARY KEY (run_id), 
	CONSTRAINT fk_plans_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "plans" VALUES('r1',X'706C616E');
CREATE TABLE run_assets (
	run_id TEXT NOT NULL, 
	asset_id BIGINT NOT NULL, 
	partition TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	outcome TEXT NOT NULL, 
	version INTEGER, 
	error TEXT, 
	CONSTRAINT pk_run_assets PRIMARY KEY (run_id, asset_id, partition), 
	CONSTRAINT fk_run_assets_run_id FOREIGN KEY(run_id) REFERENCES runs (id), 
	CONSTRAINT fk_run_assets_asset_id FOREIGN KEY(asset_id) REFERENCES assets (id)
);
INSERT INTO "run_assets" VALUES('r1',1,'',0,0,'success',2,NULL);
INSERT INTO "run_assets" VALUES('r1',2,'',1,0,'failed',NULL,'boom');
CREATE TABLE runs (
	id TEXT NOT NULL, 
	env TEXT NOT NULL, 
	status TEXT NOT NULL, 
	job TEXT, 
	"trigger" TEXT NOT NULL, 
	selection TEXT NOT NULL, 
	assets TEXT NOT NULL, 
	partition TEXT, 
	parameters TEXT NOT NULL, 
	tags TEXT NOT NULL, 
	parent TEXT, 
	created_at BIGINT NOT NULL, 
	started_at BIGINT, 
	ended_at BIGINT, 
	error TEXT, 
	cancel_requested INTEGER DEFAULT '0' NOT NULL, 
	worker TEXT, 
	created_event BIGINT NOT NULL, 
	CONSTRAINT pk_runs PRIMARY KEY (id), 
	CONSTRAINT fk_runs_created_event FOREIGN KEY(created_event) REFERENCES events (id)
);
INSERT INTO "runs" VALUES('r1','default','success',NULL,'manual','','["a","b"]',NULL,'{}','{}',NULL,1714564800123456,1714564800123456,1714564860123456,NULL,0,'{"host":"h","boot_id":"b","pid_namespace":"n","pid":7,"started":1700000000.25}',1);
CREATE TABLE sources (
	hash TEXT NOT NULL, 
	text TEXT NOT NULL, 
	CONSTRAINT pk_sources PRIMARY KEY (hash)
);
INSERT INTO "sources" VALUES('h1','x = 1');
CREATE TABLE steps (
	run_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	notebook TEXT NOT NULL, 
	output TEXT NOT NULL, 
	planned TEXT NOT NULL, 
	executed TEXT NOT NULL, 
	status TEXT NOT NULL, 
	started_at BIGINT, 
	ended_at BIGINT, 
	error TEXT, 
	kernel TEXT, 
	record_hash TEXT, 
	CONSTRAINT pk_steps PRIMARY KEY (run_id, position), 
	CONSTRAINT fk_steps_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "steps" VALUES('r1',0,'n0.ipynb','o0.ipynb','["a"]','["a"]','success',NULL,1714564860123456,NULL,'{"host":"h","boot_id":"b","pid_namespace":"n","pid":7,"started":1700000000.25}','h');
INSERT INTO "steps" VALUES('r1',1,'n1.ipynb','o1.ipynb','["a"]','[]','skipped',NULL,1714564860123456,'the run ended before this was started',NULL,NULL);
CREATE TABLE workers (
	id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	identity TEXT NOT NULL, 
	beats BIGINT NOT NULL, 
	CONSTRAINT pk_workers PRIMARY KEY (id)
);
INSERT INTO "workers" VALUES('h/b/n/7/1700000000.25','run','{"host":"h","boot_id":"b","pid_namespace":"n","pid":7,"started":1700000000.25}',1);
CREATE INDEX ix_events_asset ON events (asset_id, id) WHERE asset_id IS NOT NULL;
CREATE INDEX ix_events_run ON events (run_id, id) WHERE run_id IS NOT NULL;
CREATE INDEX ix_materializations_kept ON materializations (asset_id, partition, version) WHERE expired = 0;
CREATE INDEX ix_runs_active ON runs (status) WHERE status IN ('queued', 'starting', 'running');
CREATE INDEX ix_runs_newest ON runs (created_at, id);
CREATE INDEX ix_run_assets_active ON run_assets (asset_id, partition) WHERE outcome IN ('queued', 'running');
COMMIT;
