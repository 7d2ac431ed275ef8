-- How many sign-ins a day had, once it is over: counted from signins when somebody looks.
-- The row with the method '' says that the day was counted.
CREATE TABLE signin_days (
  org_id {{id}} NOT NULL,
  day    {{int}} NOT NULL,
  method {{key}} NOT NULL,
  result {{key}} NOT NULL,
  n      {{int}} NOT NULL,
  PRIMARY KEY (org_id, day, method, result)
){{strict}};
