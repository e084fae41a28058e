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
INSERT INTO "assets" VALUES(3,'default','p');
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
INSERT INTO "events" VALUES(8,1714564800123456,'default','partitions_materialized',3,'3',NULL,'{}');
INSERT INTO "events" VALUES(9,1714564800123456,'default','partitions_materialized',3,'3..5000',NULL,'{"partitions":2}');
INSERT INTO "events" VALUES(10,1714564800123456,'default','partitions_failed',3,'',NULL,'{"error":"boom","partitions":1}');
INSERT INTO "events" VALUES(11,1714564800123456,'default','keys_added',NULL,NULL,NULL,'{"set":"customers","keys":2}');
INSERT INTO "events" VALUES(12,1714564800123456,'default','keys_removed',NULL,NULL,NULL,'{"set":"customers","keys":1}');
INSERT INTO "events" VALUES(13,1714564860123456,'default','run_succeeded',NULL,NULL,'r1','{}');
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
CREATE TABLE partition_chunks (
	id INTEGER NOT NULL, 
	asset_id BIGINT NOT NULL, 
	family TEXT NOT NULL, 
	block BIGINT NOT NULL, 
	revision BIGINT NOT NULL, 
	facts BLOB NOT NULL, 
	places BLOB NOT NULL, 
	CONSTRAINT pk_partition_chunks PRIMARY KEY (id), 
	CONSTRAINT uq_partition_chunks_asset_id_family_block UNIQUE (asset_id, family, block), 
	CONSTRAINT fk_partition_chunks_asset_id FOREIGN KEY(asset_id) REFERENCES assets (id)
);
INSERT INTO "partition_chunks" VALUES(1,3,'',0,10,X'78019BCA38F588909501030323030408002966064C311686231C207520808D3589F908473C5FC0B12866D18F20361B4429C3C449E7FB96FD573BB9328C09D3506606009791148E',X'78019BC23889F90807130304A0B0598E707041C501756504C8');
INSERT INTO "partition_chunks" VALUES(2,3,'',1,9,X'78019BCA38F58890950103032303040800A90EE6231C203110C0CF9A7496B9E30887ADCCD71EF1D31AAA101E441F03C3C449E7FB96FD573BB9328C099B150053A21846',X'78019BC238E92C73C7110E46060840E3311C6100009427075A');
CREATE TABLE partition_keys (
	registry_id BIGINT NOT NULL, 
	ordinal INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	removed INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_partition_keys PRIMARY KEY (registry_id, ordinal), 
	CONSTRAINT uq_partition_keys_registry_id_key UNIQUE (registry_id, "key"), 
	CONSTRAINT fk_partition_keys_registry_id FOREIGN KEY(registry_id) REFERENCES partition_registries (id)
);
INSERT INTO "partition_keys" VALUES(1,0,'x',1);
INSERT INTO "partition_keys" VALUES(1,1,'y',0);
CREATE TABLE partition_marks (
	chunk_id BIGINT NOT NULL, 
	run_id TEXT NOT NULL, 
	marked BLOB NOT NULL, 
	CONSTRAINT pk_partition_marks PRIMARY KEY (chunk_id, run_id), 
	CONSTRAINT fk_partition_marks_chunk_id FOREIGN KEY(chunk_id) REFERENCES partition_chunks (id), 
	CONSTRAINT fk_partition_marks_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);
CREATE TABLE partition_registries (
	id INTEGER NOT NULL, 
	env TEXT NOT NULL, 
	owner BIGINT NOT NULL, 
	name TEXT NOT NULL, 
	size INTEGER DEFAULT '0' NOT NULL, 
	revision BIGINT DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_partition_registries PRIMARY KEY (id), 
	CONSTRAINT uq_partition_registries_env_owner_name UNIQUE (env, owner, name)
);
INSERT INTO "partition_registries" VALUES(1,'default',0,'customers',2,12);
CREATE TABLE partition_templates (
	id INTEGER NOT NULL, 
	digest TEXT NOT NULL, 
	code_version TEXT NOT NULL, 
	content TEXT NOT NULL, 
	CONSTRAINT pk_partition_templates PRIMARY KEY (id), 
	CONSTRAINT uq_partition_templates_digest UNIQUE (digest), 
	CONSTRAINT fk_partition_templates_code_version FOREIGN KEY(code_version) REFERENCES code_versions (code_version)
);
INSERT INTO "partition_templates" VALUES(1,'551f293a5429cb9306eda9cf5eab6ecb','c1','{"io":"files","format":"json","head":"default/p/","extension":".json"}');
CREATE TABLE partition_values (
	id INTEGER NOT NULL, 
	chunk_id BIGINT NOT NULL, 
	place INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	template_id BIGINT NOT NULL, 
	event_id BIGINT NOT NULL, 
	superseded_event BIGINT, 
	newer INTEGER DEFAULT '0' NOT NULL, 
	expired INTEGER DEFAULT '0' NOT NULL, 
	own BLOB NOT NULL, 
	CONSTRAINT pk_partition_values PRIMARY KEY (id), 
	CONSTRAINT uq_partition_values_chunk_id_place_version UNIQUE (chunk_id, place, version), 
	CONSTRAINT fk_partition_values_chunk_id FOREIGN KEY(chunk_id) REFERENCES partition_chunks (id), 
	CONSTRAINT fk_partition_values_template_id FOREIGN KEY(template_id) REFERENCES partition_templates (id), 
	CONSTRAINT fk_partition_values_event_id FOREIGN KEY(event_id) REFERENCES events (id)
);
INSERT INTO "partition_values" VALUES(1,1,3,1,1,8,9,1,0,X'9BA2332FC4027431C41574643A64656661756C742F702F332F312E6A736F6E03CB0000000000000000C000909090C400');
INSERT INTO "partition_values" VALUES(2,1,3,2,1,9,NULL,0,0,X'9BA2332FC4027432C41574643A64656661756C742F702F332F322E6A736F6E03CB0000000000000000C000909090C400');
INSERT INTO "partition_values" VALUES(3,2,904,1,1,9,NULL,0,0,X'9BA5353030302FC4027478C41874643A64656661756C742F702F353030302F782E6A736F6E03CB0000000000000000C000909090C400');
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
CREATE INDEX ix_partition_chunks_changed ON partition_chunks (asset_id, revision);
CREATE INDEX ix_partition_keys_removed ON partition_keys (registry_id, ordinal) WHERE removed = 1;
CREATE INDEX ix_partition_values_outdated ON partition_values (newer) WHERE expired = 0 AND newer > 0;
CREATE INDEX ix_runs_active ON runs (status) WHERE status IN ('queued', 'starting', 'running');
CREATE INDEX ix_runs_newest ON runs (created_at, id);
CREATE INDEX ix_partition_marks_run ON partition_marks (run_id);
CREATE INDEX ix_run_assets_active ON run_assets (asset_id, partition) WHERE outcome IN ('queued', 'running');
COMMIT;
