BEGIN TRANSACTION;
CREATE TABLE artifacts (
	study_id INTEGER NOT NULL, 
	number BIGINT NOT NULL, 
	fence BIGINT NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	location TEXT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	size BIGINT NOT NULL, 
	format VARCHAR(64) NOT NULL, 
	PRIMARY KEY (study_id, number, fence, name), 
	FOREIGN KEY(study_id) REFERENCES studies (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "artifacts" VALUES(1,0,1,'model','0-1/model','abababababababababababababababababababababababababababababababab',10,'skops');
CREATE TABLE attempts (
	study_id INTEGER NOT NULL, 
	number BIGINT NOT NULL, 
	fence BIGINT NOT NULL, 
	worker_id VARCHAR(128) NOT NULL, 
	outcome VARCHAR(16) NOT NULL, 
	started_us BIGINT NOT NULL, 
	ended_us BIGINT, 
	duration_s DOUBLE, 
	peak_memory_mb DOUBLE, 
	exit_code INTEGER, 
	log_location TEXT NOT NULL, 
	cost DOUBLE, 
	result_id VARCHAR(128), 
	PRIMARY KEY (study_id, number, fence), 
	FOREIGN KEY(study_id) REFERENCES studies (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "attempts" VALUES(1,0,1,'w1','complete',1700000012000000,1700000015000000,1.5,NULL,NULL,'',1.5,'r0');
INSERT INTO "attempts" VALUES(1,1,1,'w1','error',1700000016000000,1700000018000000,2.0,NULL,NULL,'',20.0,'r1');
INSERT INTO "attempts" VALUES(1,1,2,'w1','failed',1700000019000000,1700000020000000,2.0,NULL,NULL,'',20.0,'r2');
INSERT INTO "attempts" VALUES(1,2,1,'w1','running',1700000021000000,NULL,NULL,NULL,NULL,'',NULL,NULL);
CREATE TABLE datasets (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name VARCHAR(200) NOT NULL, 
	description TEXT NOT NULL, 
	train_path TEXT NOT NULL, 
	test_path TEXT, 
	class_column TEXT NOT NULL, 
	n_examples BIGINT NOT NULL, 
	k_classes BIGINT NOT NULL, 
	d_features BIGINT NOT NULL, 
	majority DOUBLE NOT NULL, 
	size_kb BIGINT NOT NULL, 
	fingerprint VARCHAR(128) NOT NULL, 
	metadata TEXT NOT NULL, 
	created_us BIGINT NOT NULL
);
INSERT INTO "datasets" VALUES(1,'iris','flowers','data/iris.csv',NULL,'class',150,3,4,3.33333333333333314829e-01,5,'f00','{"columns":["a"]}',1700000003000000);
CREATE TABLE ensembles (
	study_id INTEGER NOT NULL, 
	iteration BIGINT NOT NULL, 
	worker_id VARCHAR(128) NOT NULL, 
	members TEXT NOT NULL, 
	score TEXT NOT NULL, 
	location TEXT NOT NULL, 
	metrics TEXT NOT NULL, 
	created_us BIGINT NOT NULL, 
	PRIMARY KEY (study_id, iteration), 
	FOREIGN KEY(study_id) REFERENCES studies (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "ensembles" VALUES(1,1,'w1','[[0,1.0]]','0.9','bundles/1','{"f1":0.9}',5);
CREATE TABLE events (
	study_id INTEGER NOT NULL, 
	revision BIGINT NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	number BIGINT, 
	fence BIGINT, 
	payload TEXT NOT NULL, 
	at_us BIGINT NOT NULL, 
	PRIMARY KEY (study_id, revision), 
	FOREIGN KEY(study_id) REFERENCES studies (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "events" VALUES(1,1,'create',NULL,NULL,'{}',1700000004000000);
INSERT INTO "events" VALUES(1,2,'budget',NULL,NULL,'{"trials":10,"deadline_us":4000000000000000,"cost":5000.0,"parallel":4,"who":"ann"}',1700000006000000);
INSERT INTO "events" VALUES(1,3,'window',NULL,NULL,'{"window":2}',1700000007000000);
INSERT INTO "events" VALUES(1,4,'attrs',NULL,NULL,'{"names":["by"]}',1700000008000000);
INSERT INTO "events" VALUES(1,5,'state',NULL,NULL,'{"state":"running"}',1700000009000000);
INSERT INTO "events" VALUES(1,6,'partitions',NULL,NULL,'{"count":2}',1700000011000000);
INSERT INTO "events" VALUES(1,7,'claim',0,1,'{"worker":"w1","attempt":1}',1700000012000000);
INSERT INTO "events" VALUES(1,8,'propose',0,1,'{}',1700000013000000);
INSERT INTO "events" VALUES(1,9,'report',0,1,'{"count":2}',1700000014000000);
INSERT INTO "events" VALUES(1,10,'finish',0,1,'{"state":"complete"}',1700000015000000);
INSERT INTO "events" VALUES(1,11,'claim',1,1,'{"worker":"w1","attempt":1}',1700000016000000);
INSERT INTO "events" VALUES(1,12,'propose',1,1,'{}',1700000017000000);
INSERT INTO "events" VALUES(1,13,'retry',1,1,'{"failure":{"kind":"error","message":"division by zero","code":"E_OBJECTIVE","traceback":"Traceback"}}',1700000018000000);
INSERT INTO "events" VALUES(1,14,'claim',1,2,'{"worker":"w1","attempt":2}',1700000019000000);
INSERT INTO "events" VALUES(1,15,'finish',1,2,'{"state":"failed"}',1700000020000000);
INSERT INTO "events" VALUES(1,16,'claim',2,1,'{"worker":"w1","attempt":1}',1700000021000000);
INSERT INTO "events" VALUES(1,17,'propose',2,1,'{}',1700000022000000);
INSERT INTO "events" VALUES(1,18,'space',NULL,NULL,'{"version":1,"who":"ann"}',1700000023000000);
INSERT INTO "events" VALUES(1,19,'enqueue',3,0,'{"request_id":"again-1","who":"ann"}',1700000024000000);
INSERT INTO "events" VALUES(1,20,'ensemble',NULL,NULL,'{"iteration":1}',1700000026000000);
INSERT INTO "events" VALUES(1,21,'kill',2,1,'{"asked":true,"who":"ann"}',1700000027000000);
INSERT INTO "events" VALUES(1,22,'ask',NULL,NULL,'{"worker":"w1","wish":"drain","who":"ann"}',1700000028000000);
CREATE TABLE modelwright_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT modelwright_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "modelwright_version" VALUES('0002');
CREATE TABLE partitions (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	study_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	method TEXT NOT NULL, 
	categoricals TEXT NOT NULL, 
	tunables TEXT NOT NULL, 
	constants TEXT NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	CONSTRAINT uq_partitions_position UNIQUE (study_id, position), 
	FOREIGN KEY(study_id) REFERENCES studies (id) ON DELETE CASCADE
);
INSERT INTO "partitions" VALUES(1,1,0,'knn','{"weights":"uniform"}','[["k",1,9]]','{"n_jobs":1}','incomplete');
INSERT INTO "partitions" VALUES(2,1,1,'dt','{}','[]','{}','gridding_done');
CREATE TABLE reports (
	study_id INTEGER NOT NULL, 
	revision BIGINT NOT NULL, 
	position INTEGER NOT NULL, 
	number BIGINT NOT NULL, 
	fence BIGINT NOT NULL, 
	step DOUBLE NOT NULL, 
	fold INTEGER, 
	values_json TEXT NOT NULL, 
	at_us BIGINT NOT NULL, 
	PRIMARY KEY (study_id, revision, position), 
	FOREIGN KEY(study_id) REFERENCES studies (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "reports" VALUES(1,9,0,0,1,1.0,NULL,'{"loss":0.9}',1700000014000000);
INSERT INTO "reports" VALUES(1,9,1,0,1,2.0,0,'{"loss":0.7}',1700000014000000);
CREATE TABLE space_versions (
	study_id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	space TEXT NOT NULL, 
	created_us BIGINT NOT NULL, 
	PRIMARY KEY (study_id, version), 
	FOREIGN KEY(study_id) REFERENCES studies (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "space_versions" VALUES(1,0,'{"parameters":[{"name":"lr","type":"float","low":1e-05,"high":0.1,"log":true},{"name":"layers","type":"int","low":1,"high":8},{"name":"act","type":"categorical","choices":["relu","gelu"]}],"constraints":[]}',1700000004000000);
INSERT INTO "space_versions" VALUES(1,1,'{"parameters":[{"name":"lr","type":"float","low":1e-05,"high":0.1,"log":true},{"name":"layers","type":"int","low":1,"high":8},{"name":"act","type":"categorical","choices":["relu","gelu"]},{"name":"x","type":"float","low":0.0,"high":1.0}],"constraints":[]}',1700000023000000);
CREATE TABLE studies (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name VARCHAR(200) NOT NULL, 
	revision BIGINT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	budget_trials BIGINT, 
	issued BIGINT NOT NULL, 
	fence_floor BIGINT NOT NULL, 
	window_size BIGINT, 
	space_version INTEGER NOT NULL, 
	report_revision BIGINT NOT NULL, 
	closed TEXT NOT NULL, 
	started_us BIGINT, 
	ended_us BIGINT, 
	user_attrs TEXT NOT NULL, 
	budget_s DOUBLE, 
	deadline_us BIGINT, 
	ensemble_worker VARCHAR(128) NOT NULL, 
	ensemble_lease_us BIGINT NOT NULL, 
	created_us BIGINT NOT NULL, 
	dataset_id INTEGER, 
	objectives TEXT NOT NULL, 
	optimizer TEXT NOT NULL, 
	scheduler TEXT, 
	seed BIGINT NOT NULL, 
	deterministic SMALLINT NOT NULL, 
	reproducible SMALLINT NOT NULL, 
	lease_s DOUBLE NOT NULL, 
	max_attempts INTEGER NOT NULL, 
	priority INTEGER NOT NULL, 
	objective_ref TEXT NOT NULL, 
	description TEXT NOT NULL, 
	selector VARCHAR(200) NOT NULL, 
	tuner VARCHAR(200) NOT NULL, 
	k_window INTEGER, 
	r_minimum INTEGER, 
	gridding INTEGER, 
	metric VARCHAR(200) NOT NULL, 
	score_target VARCHAR(32) NOT NULL, 
	budget_type VARCHAR(32) NOT NULL, 
	budget_cost DOUBLE, 
	budget_parallel BIGINT, 
	cost DOUBLE DEFAULT '0' NOT NULL, 
	abort SMALLINT DEFAULT '0' NOT NULL, 
	retry TEXT, 
	CONSTRAINT uq_studies_name UNIQUE (name), 
	FOREIGN KEY(dataset_id) REFERENCES datasets (id)
);
INSERT INTO "studies" VALUES(1,'näme',22,'running',10,4,0,2,1,9,'',1700000009000000,NULL,'{"by":"somebody"}',NULL,4000000000000000,'w1',1700000625000000,1700000004000000,1,'[["loss","minimize"],["score","maximize"]]','["tpe",{"startup":5}]','["median",{}]',7,0,0,60.0,3,1,'','a study of the second version','ucb1','tpe',3,2,0,'f1','cv','classifier',5000.0,4,41.5,0,'{"error":1}');
CREATE TABLE trials (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	study_id INTEGER NOT NULL, 
	number BIGINT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	params TEXT, 
	space_version INTEGER NOT NULL, 
	fidelity DOUBLE, 
	parent BIGINT, 
	partition_index INTEGER, 
	enqueued SMALLINT NOT NULL, 
	optimizer VARCHAR(200) NOT NULL, 
	optimizer_version VARCHAR(64) NOT NULL, 
	reason TEXT NOT NULL, 
	seen_revision BIGINT NOT NULL, 
	fence BIGINT NOT NULL, 
	attempts INTEGER NOT NULL, 
	worker_id VARCHAR(128) NOT NULL, 
	claim_id VARCHAR(128), 
	lease_until_us BIGINT NOT NULL, 
	stop SMALLINT NOT NULL, 
	result_id VARCHAR(128), 
	value DOUBLE, 
	values_json TEXT NOT NULL, 
	failure_kind VARCHAR(16), 
	failure_code VARCHAR(64) NOT NULL, 
	failure_message TEXT NOT NULL, 
	failure_traceback TEXT NOT NULL, 
	user_attrs TEXT NOT NULL, 
	metrics TEXT NOT NULL, 
	cv_mean DOUBLE, 
	cv_std DOUBLE, 
	test_score DOUBLE, 
	model_location TEXT, 
	metrics_location TEXT, 
	duration_s DOUBLE, 
	revision BIGINT NOT NULL, 
	finished_revision BIGINT NOT NULL, 
	queued_us BIGINT, 
	started_us BIGINT, 
	ended_us BIGINT, 
	config_key VARCHAR(64), 
	request_id VARCHAR(128), 
	CONSTRAINT uq_trials_number UNIQUE (study_id, number), 
	CONSTRAINT uq_trials_claim UNIQUE (study_id, claim_id), 
	FOREIGN KEY(study_id) REFERENCES studies (id) ON DELETE CASCADE
);
INSERT INTO "trials" VALUES(1,1,0,'complete','{"lr":0.01,"layers":3,"act":"gelu"}',0,NULL,NULL,0,0,'tpe','0.1','a guess',3,1,1,'w1',NULL,0,0,'r0',0.5,'[0.5,{"$float":"inf"}]',NULL,'','','','{"note":"ok"}','{"cv_mean":0.5,"cv_std":0.1}',0.5,0.1,NULL,NULL,NULL,1.5,10,10,1700000012000000,1700000012000000,1700000015000000,'4912df56b7649f708acfc23c2f35451d80af095607463dab8d21936f55ed13fc',NULL);
INSERT INTO "trials" VALUES(2,1,1,'failed','{"lr":0.01,"layers":4,"act":"gelu"}',0,NULL,NULL,0,0,'tpe','0.1','a guess',3,2,2,'w1',NULL,0,0,'r2',NULL,'[]','error','E_OBJECTIVE','division by zero','Traceback','{}','{}',NULL,NULL,NULL,NULL,NULL,2.0,15,15,1700000016000000,1700000019000000,1700000020000000,'7e221085fe5ed59fb8467aa023c3e34c2e112c680f596f4c8147a2a25ec1d256',NULL);
INSERT INTO "trials" VALUES(3,1,2,'running','{"lr":0.01,"layers":5,"act":"gelu"}',0,NULL,NULL,0,0,'tpe','0.1','a guess',3,1,1,'w1','c2-1',1700000621000000,1,NULL,NULL,'[]',NULL,'','','','{}','{}',NULL,NULL,NULL,NULL,NULL,NULL,21,0,1700000021000000,1700000021000000,NULL,'5d6fcd0dabfe6b219656a98db659a4dafc471f90ee6be0c9f21af787d29a4775',NULL);
INSERT INTO "trials" VALUES(4,1,3,'waiting','{"lr":0.1,"layers":2,"act":"relu"}',1,NULL,NULL,NULL,1,'','','',0,0,0,'',NULL,0,0,NULL,NULL,'[]',NULL,'','','','{}','{}',NULL,NULL,NULL,NULL,NULL,NULL,19,0,1700000024000000,NULL,NULL,'2b5c6a1b35250ce0df4f06802831a11333a00277596a8932547edcd2a5d8a222','again-1');
CREATE TABLE workers (
	id VARCHAR(128) NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	pid BIGINT NOT NULL, 
	boot_id VARCHAR(128) NOT NULL, 
	process_started DOUBLE NOT NULL, 
	version VARCHAR(64) NOT NULL, 
	registered_us BIGINT NOT NULL, 
	seen_us BIGINT NOT NULL, 
	group_id VARCHAR(128) DEFAULT '' NOT NULL, 
	asked VARCHAR(8) DEFAULT '' NOT NULL, 
	left_us BIGINT, 
	PRIMARY KEY (id)
);
INSERT INTO "workers" VALUES('w1','host-1',123,'boot',1.5,'0.2',1700000010000000,1700000010000000,'w0','drain',NULL);
CREATE INDEX ix_trials_config ON trials (study_id, config_key);
CREATE INDEX ix_trials_lease ON trials (state, study_id, lease_until_us, number);
CREATE UNIQUE INDEX uq_trials_request ON trials (study_id, request_id);
CREATE INDEX ix_trials_revision ON trials (study_id, revision);
CREATE INDEX ix_reports_number ON reports (study_id, number);
CREATE VIEW modelhub_datasets AS 
SELECT id AS dataset_id, name, description, train_path, test_path, class_column,
       n_examples, k_classes, d_features, majority, size_kb
FROM datasets;
CREATE VIEW dataruns AS 
SELECT id AS datarun_id, dataset_id, description, selector, k_window, tuner, r_minimum, gridding, priority,
       budget_type, CASE WHEN budget_type = 'walltime' THEN budget_s ELSE budget_trials END AS budget,
       strftime('%Y-%m-%d %H:%M:%f', COALESCE(deadline_us, started_us + CAST(budget_s * 1000000 AS INTEGER)) / 1000000.0, 'unixepoch') AS deadline, metric, score_target,
       strftime('%Y-%m-%d %H:%M:%f', started_us / 1000000.0, 'unixepoch') AS start_time, strftime('%Y-%m-%d %H:%M:%f', ended_us / 1000000.0, 'unixepoch') AS end_time,
       CASE state WHEN 'pending' THEN 'pending' WHEN 'running' THEN 'running' WHEN 'paused' THEN 'running'
                  ELSE 'complete' END AS status
FROM studies;
CREATE VIEW hyperpartitions AS 
SELECT id AS hyperpartition_id, study_id AS datarun_id, method, categoricals, tunables, constants, status
FROM partitions;
CREATE VIEW classifiers AS 
SELECT trials.id AS classifier_id, trials.study_id AS datarun_id, partitions.id AS hyperpartition_id,
       workers.host AS host, trials.model_location AS model_location,
       trials.metrics_location AS metrics_location,
       COALESCE(trials.cv_mean, trials.value) AS cv_judgment_metric,
       trials.cv_std AS cv_judgment_metric_stdev, trials.test_score AS test_judgment_metric,
       trials.params AS hyperparameters_values,
       strftime('%Y-%m-%d %H:%M:%f', trials.started_us / 1000000.0, 'unixepoch') AS start_time,
       strftime('%Y-%m-%d %H:%M:%f', trials.ended_us / 1000000.0, 'unixepoch') AS end_time,
       CASE trials.state WHEN 'failed' THEN 'errored' WHEN 'complete' THEN 'complete'
                         WHEN 'pruned' THEN 'complete' ELSE 'running' END AS status,
       CASE WHEN trials.failure_traceback <> '' THEN trials.failure_traceback
            WHEN trials.failure_message <> '' THEN trials.failure_message END AS error_message
FROM trials
LEFT JOIN partitions ON partitions.study_id = trials.study_id AND partitions.position = trials.partition_index
LEFT JOIN workers ON workers.id = trials.worker_id;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('datasets',1);
INSERT INTO "sqlite_sequence" VALUES('studies',1);
INSERT INTO "sqlite_sequence" VALUES('partitions',2);
INSERT INTO "sqlite_sequence" VALUES('trials',4);
COMMIT;
