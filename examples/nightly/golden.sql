-- What models are compared on; {sample} is the folder with the sample reviews.
COPY (
    SELECT r.review, a.label FROM '{sample}/reviews.csv' r JOIN '{sample}/reviews_answers.csv' a ON r.id = a.id
) TO 'lake/golden.parquet' STORED AS PARQUET;
