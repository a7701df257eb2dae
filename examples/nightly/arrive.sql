-- The files of one day arrive: {day} is its date, {number} its number from 0 to 13, {sample} the folder with the sample reviews.
-- COPY publishes a file as a whole, so the night never reads half of one.
COPY (
    SELECT id, product, review FROM '{sample}/reviews.csv' WHERE CAST(substr(id, 2) AS INT) % 14 = {number}
) TO 'lake/reviews/day={day}/reviews.parquet' STORED AS PARQUET;

COPY (
    SELECT id, review, {label} AS label FROM '{sample}/reviews.csv'
    WHERE label IS NOT NULL AND CAST(substr(id, 2) AS INT) % 14 = {number}
) TO 'lake/truth/day={day}/truth.csv' STORED AS CSV OPTIONS ('format.has_header' 'true');
