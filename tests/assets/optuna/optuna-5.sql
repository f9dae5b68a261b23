BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'one');
INSERT INTO "studies" VALUES(2,'two');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MAXIMIZE',1,0);
INSERT INTO "study_directions" VALUES(2,'MINIMIZE',2,0);
INSERT INTO "study_directions" VALUES(3,'MAXIMIZE',2,1);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_system_attributes" VALUES(1,2,'study:metric_names','["loss", "gain"]');
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_user_attributes" VALUES(1,1,'team','"blue"');
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_intermediate_values" VALUES(1,1,0,2.25,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(2,1,1,3.25,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(3,1,2,4.25,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(4,2,0,1.66187821315078494417e+01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(5,2,1,1.76187821315078494421e+01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(6,2,2,1.86187821315078494421e+01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(7,3,0,3.4444959629917631938e-01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(8,3,1,1.34444959629917626386e+00,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(9,3,2,2.34444959629917626386e+00,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(10,4,0,1.42991752899863673316e+01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(11,4,1,1.5299175289986367332e+01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(12,4,2,1.62991752899863655561e+01,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(13,5,0,6.15861920137739,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(14,5,1,7.15861920137739,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(15,6,0,5.49683689315229262462e+00,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(16,6,1,6.49683689315229262462e+00,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(17,6,2,7.49683689315229262462e+00,'FINITE');
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'x',1.5,'{"name": "FloatDistribution", "attributes": {"step": null, "low": -5.0, "high": 5.0, "log": false}}');
INSERT INTO "trial_params" VALUES(2,1,'lr',4.65680463791956554368e-04,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(3,1,'q',0.75,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(4,1,'n',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 9}}');
INSERT INTO "trial_params" VALUES(5,1,'w',48.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 16, "low": 16, "high": 128}}');
INSERT INTO "trial_params" VALUES(6,1,'d',2.0,'{"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 1, "high": 1000}}');
INSERT INTO "trial_params" VALUES(7,1,'model',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["svm", "tree", null, 3, 0.5, true]}}');
INSERT INTO "trial_params" VALUES(8,1,'C',1.0,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 10.0, "log": true}}');
INSERT INTO "trial_params" VALUES(9,2,'x',-4.07661405231202245147e+00,'{"name": "FloatDistribution", "attributes": {"step": null, "low": -5.0, "high": 5.0, "log": false}}');
INSERT INTO "trial_params" VALUES(10,2,'lr',5.55956542671256646794e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(11,2,'q',0.25,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(12,2,'n',4.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 9}}');
INSERT INTO "trial_params" VALUES(13,2,'w',80.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 16, "low": 16, "high": 128}}');
INSERT INTO "trial_params" VALUES(14,2,'d',12.0,'{"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 1, "high": 1000}}');
INSERT INTO "trial_params" VALUES(15,2,'model',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["svm", "tree", null, 3, 0.5, true]}}');
INSERT INTO "trial_params" VALUES(16,3,'x',5.86898284457516794532e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": -5.0, "high": 5.0, "log": false}}');
INSERT INTO "trial_params" VALUES(17,3,'lr',3.6437431392812541606e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(18,3,'q',0.0,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(19,3,'n',8.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 9}}');
INSERT INTO "trial_params" VALUES(20,3,'w',128.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 16, "low": 16, "high": 128}}');
INSERT INTO "trial_params" VALUES(21,3,'d',5.0,'{"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 1, "high": 1000}}');
INSERT INTO "trial_params" VALUES(22,3,'model',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["svm", "tree", null, 3, 0.5, true]}}');
INSERT INTO "trial_params" VALUES(23,4,'x',3.78142503429413068261e+00,'{"name": "FloatDistribution", "attributes": {"step": null, "low": -5.0, "high": 5.0, "log": false}}');
INSERT INTO "trial_params" VALUES(24,4,'lr',2.47392959130401802049e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(25,4,'q',0.5,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(26,4,'n',9.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 9}}');
INSERT INTO "trial_params" VALUES(27,4,'w',80.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 16, "low": 16, "high": 128}}');
INSERT INTO "trial_params" VALUES(28,4,'d',96.0,'{"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 1, "high": 1000}}');
INSERT INTO "trial_params" VALUES(29,4,'model',5.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["svm", "tree", null, 3, 0.5, true]}}');
INSERT INTO "trial_params" VALUES(30,5,'x',2.4816565437983939546e+00,'{"name": "FloatDistribution", "attributes": {"step": null, "low": -5.0, "high": 5.0, "log": false}}');
INSERT INTO "trial_params" VALUES(31,5,'lr',1.32365854694154870974e-04,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(32,5,'q',0.75,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(33,5,'n',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 9}}');
INSERT INTO "trial_params" VALUES(34,5,'w',64.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 16, "low": 16, "high": 128}}');
INSERT INTO "trial_params" VALUES(35,5,'d',499.0,'{"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 1, "high": 1000}}');
INSERT INTO "trial_params" VALUES(36,5,'model',4.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["svm", "tree", null, 3, 0.5, true]}}');
INSERT INTO "trial_params" VALUES(37,6,'x',-2.34453340627773787474e+00,'{"name": "FloatDistribution", "attributes": {"step": null, "low": -5.0, "high": 5.0, "log": false}}');
INSERT INTO "trial_params" VALUES(38,6,'lr',9.25321465764258107439e-04,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(39,6,'q',0.0,'{"name": "FloatDistribution", "attributes": {"step": 0.25, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(40,6,'n',6.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 9}}');
INSERT INTO "trial_params" VALUES(41,6,'w',32.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 16, "low": 16, "high": 128}}');
INSERT INTO "trial_params" VALUES(42,6,'d',44.0,'{"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 1, "high": 1000}}');
INSERT INTO "trial_params" VALUES(43,6,'model',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["svm", "tree", null, 3, 0.5, true]}}');
INSERT INTO "trial_params" VALUES(44,6,'C',1.17975767628292271815e+00,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 10.0, "log": true}}');
INSERT INTO "trial_params" VALUES(45,7,'x',2.5,'{"name": "FloatDistribution", "attributes": {"step": null, "low": -5.0, "high": 5.0, "log": false}}');
INSERT INTO "trial_params" VALUES(46,9,'x',0.417022004702574,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
INSERT INTO "trial_params" VALUES(47,10,'x',7.20324493442158098055e-01,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_system_attributes" VALUES(1,1,'fixed_params','{"x": 1.5, "model": "svm", "C": 1.0}');
INSERT INTO "trial_system_attributes" VALUES(2,7,'fixed_params','{"x": 2.5, "lr": 0.01, "q": 0.5, "n": 2, "w": 32, "d": 10, "model": "tree"}');
INSERT INTO "trial_system_attributes" VALUES(3,8,'fixed_params','{"x": 3.5, "lr": 0.01, "q": 0.5, "n": 2, "w": 32, "d": 10, "model": "tree"}');
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'note','{"k": [1, 2.5, "a"]}');
INSERT INTO "trial_user_attributes" VALUES(2,2,'note','{"k": [1, 2.5, "a"]}');
INSERT INTO "trial_user_attributes" VALUES(3,3,'note','{"k": [1, 2.5, "a"]}');
INSERT INTO "trial_user_attributes" VALUES(4,4,'note','{"k": [1, 2.5, "a"]}');
INSERT INTO "trial_user_attributes" VALUES(5,5,'note','{"k": [1, 2.5, "a"]}');
INSERT INTO "trial_user_attributes" VALUES(6,6,'note','{"k": [1, 2.5, "a"]}');
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,3.25,'FINITE');
INSERT INTO "trial_values" VALUES(2,2,0,2.06187821315078494426e+01,'FINITE');
INSERT INTO "trial_values" VALUES(3,4,0,2.32991752899863655565e+01,'FINITE');
INSERT INTO "trial_values" VALUES(4,5,0,7.15861920137739,'FINITE');
INSERT INTO "trial_values" VALUES(5,6,0,NULL,'INF_POS');
INSERT INTO "trial_values" VALUES(6,9,0,0.417022004702574,'FINITE');
INSERT INTO "trial_values" VALUES(7,9,1,0.582977995297426,'FINITE');
INSERT INTO "trial_values" VALUES(8,10,0,7.20324493442158098055e-01,'FINITE');
INSERT INTO "trial_values" VALUES(9,10,1,2.79675506557841901944e-01,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-21 15:27:46.453300','2026-11-21 15:27:46.498406');
INSERT INTO "trials" VALUES(2,1,1,'COMPLETE','2026-11-21 15:27:46.506437','2026-11-21 15:27:46.536951');
INSERT INTO "trials" VALUES(3,2,1,'FAIL','2026-11-21 15:27:46.543768','2026-11-21 15:27:46.572048');
INSERT INTO "trials" VALUES(4,3,1,'COMPLETE','2026-11-21 15:27:46.577123','2026-11-21 15:27:46.604605');
INSERT INTO "trials" VALUES(5,4,1,'PRUNED','2026-11-21 15:27:46.610601','2026-11-21 15:27:46.639285');
INSERT INTO "trials" VALUES(6,5,1,'COMPLETE','2026-11-21 15:27:46.645148','2026-11-21 15:27:46.684236');
INSERT INTO "trials" VALUES(7,6,1,'RUNNING','2026-11-21 15:27:46.695047',NULL);
INSERT INTO "trials" VALUES(8,7,1,'WAITING',NULL,NULL);
INSERT INTO "trials" VALUES(9,0,2,'COMPLETE','2026-11-21 15:27:46.806771','2026-11-21 15:27:46.824562');
INSERT INTO "trials" VALUES(10,1,2,'COMPLETE','2026-11-21 15:27:46.833123','2026-11-21 15:27:46.843178');
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
COMMIT;
