-- What is there once: tables over folders that files arrive in, a first model, a view of labels, and three jobs.
-- Run in the folder that holds lake/, after the first day's files have arrived (arrive.sql).

-- A folder a day: what customers wrote, and what people said of some of it a day later.
CREATE EXTERNAL TABLE reviews (id VARCHAR, product VARCHAR, review VARCHAR, day DATE)
    STORED AS PARQUET PARTITIONED BY (day) LOCATION 'lake/reviews/';
CREATE EXTERNAL TABLE truth (id VARCHAR, review VARCHAR, label VARCHAR, day DATE)
    STORED AS CSV PARTITIONED BY (day) LOCATION 'lake/truth/' OPTIONS ('format.has_header' 'true');

-- What models are compared on: reviews that none of them learns from.
CREATE VIEW golden AS SELECT review, label FROM 'lake/golden.parquet';

CREATE MODEL challenger FROM 'all-MiniLM-L6-v2'
    FINE_TUNE ON (SELECT review, label FROM truth) WITH (method = 'head');
PROMOTE MODEL challenger TO sentiment;

-- A refresh reads the files that are new; labels stay as they were given when the model changes.
CREATE MATERIALIZED VIEW labelled WITH (on_model_change = 'keep') AS
    SELECT day, id, product, classify(review, 'sentiment') AS label FROM reviews;

CREATE JOB nightly_labels SCHEDULE CRON '0 2 * * *' AT TIME ZONE 'Europe/Paris'
    WITH (overlap = 'queue', retries = 5)
    AS REFRESH MATERIALIZED VIEW labelled;

CREATE JOB nightly_report SCHEDULE AFTER JOB nightly_labels
    AS COPY (
        SELECT product, count(*) AS reviews, count(*) FILTER (WHERE label = 'negative') AS negative, max(day) AS until
        FROM labelled GROUP BY product ORDER BY negative DESC, product
    ) TO 'lake/report.csv' STORED AS CSV;

-- The new model labels from the next night on, if it is better than the one that does.
CREATE JOB weekly_tuning SCHEDULE CRON '0 4 * * mon' AT TIME ZONE 'Europe/Paris'
    WITH (overlap = 'queue')
    AS BEGIN
        CREATE OR REPLACE MODEL challenger FROM 'all-MiniLM-L6-v2'
            FINE_TUNE ON (SELECT review, label FROM truth) WITH (method = 'head');
        PROMOTE MODEL challenger TO sentiment IF BETTER ON golden BY macro_f1;
    END;
