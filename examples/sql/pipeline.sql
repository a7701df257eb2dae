-- Preprocessing: a view over a file in place.
CREATE OR REPLACE VIEW example_reviews AS
  SELECT id, product, btrim(review) AS review, label
  FROM 'crates/cli/data/reviews.csv'
  WHERE character_length(btrim(review)) > 10;

-- Tuning: one statement; the labels are the column named label.
CREATE OR REPLACE MODEL example_sentiment
  FINE_TUNE ON (SELECT review, label FROM example_reviews WHERE label IS NOT NULL)
  WITH (epochs = 2);

-- Scoring the rest: the model runs on the unlabelled rows only.
EXPLAIN SELECT product, classify(review, 'example_sentiment') AS predicted
FROM example_reviews WHERE label IS NULL LIMIT 5;

SELECT product, classify(review, 'example_sentiment') AS predicted, review
FROM example_reviews WHERE label IS NULL LIMIT 5;

-- What came out, and the reviews nearest to a question.
SELECT classify(review, 'example_sentiment') AS predicted, count(*) AS reviews
FROM example_reviews WHERE label IS NULL GROUP BY 1 ORDER BY reviews DESC;

SELECT product, review FROM example_reviews
ORDER BY similarity(review, 'it broke after a few days') DESC LIMIT 3;

-- How good the model is, on the rows whose labels it never saw.
EVALUATE MODEL example_sentiment ON (
  SELECT r.review, a.label
  FROM example_reviews r JOIN 'crates/cli/data/reviews_answers.csv' a ON r.id = a.id
  WHERE r.label IS NULL);
