-- The types that go wrong between databases, JSON and doubles, and the values that do.
SET sql_mode = ''; -- which lets zero dates in, as many a server does

CREATE TABLE odd (
    id bigint PRIMARY KEY,
    at datetime(6) NOT NULL,
    ts timestamp NULL,
    user_id varchar(40),
    big bigint,
    ubig bigint unsigned,
    small smallint,
    tiny tinyint,
    flag tinyint(1),
    price decimal(38, 9),
    price0 decimal(10, 0),
    ratio double,
    single float,
    note text,
    code char(5),
    mood enum('calm', 'cross'),
    bits bit(1),
    bits8 bit(8),
    raw varbinary(20),
    clock time,
    clock6 time(6),
    day date,
    doc json,
    point geometry,
    labels set('a', 'b', 'c'),
    blobby blob,
    yr year,
    uid uuid,
    net inet6
) DEFAULT CHARACTER SET utf8mb4;

-- Rows that are the same in every run, all of them different.
CREATE PROCEDURE grow(first_id bigint, last_id bigint)
INSERT INTO odd
SELECT
    seq,
    timestamp('2026-10-02') + interval seq * 61001000 microsecond,
    timestamp('1990-01-01') + interval seq day,
    concat('user-', seq % 50),
    conv(substr(md5(seq), 1, 15), 16, 10) * if(seq % 2, 1, -1),
    conv(substr(md5(seq), 1, 16), 16, 10),
    seq % 30000 - 15000,
    seq % 256 - 128,
    seq % 2,
    conv(substr(md5(seq), 1, 12), 16, 10) / 1000000000,
    seq - 300,
    conv(substr(md5(seq), 1, 12), 16, 10) / seq,
    seq / 8,
    concat(md5(seq), ' Grüße "\\\n\t'),
    substr(md5(seq), 1, 1 + seq % 5),
    if(seq % 2, 'calm', 'cross'),
    seq % 2,
    seq % 256,
    unhex(md5(seq)),
    sec_to_time(seq * 97),
    sec_to_time(seq * 97.25),
    date('1990-01-01') + interval seq day,
    json_object('a', json_array(seq, md5(seq)), 'n', NULL),
    point(seq, -seq / 8),
    'a,b', 'blob', 2026, NULL, '::1'
FROM (SELECT cast(seq AS signed) AS seq FROM seq_1_to_1000) AS s
WHERE seq BETWEEN first_id AND last_id;
CALL grow(101, 600);

INSERT INTO odd VALUES
(1, '2026-10-01 12:00:00.123456', '2026-10-01 12:00:00', 'ada', 9007199254740993,
 18446744073709551615, 7, -7, 1, 12345678901234567890123456789.123456789, 12, 0.1, 0.1, 'Grüße',
 'ab', 'calm', b'1', b'10101010', x'deadbeef', '13:45:00', '13:45:00.5', '2026-02-28',
 '{"a": {"b": [1, 2]}}',
 ST_GeomFromText('POINT(1 2)'), 'a', '', 0, NULL, NULL),
(2, '2026-10-01 12:00:01', '2026-10-01 12:00:01', '', -9007199254740993, 0, -7, 7, 0, 0.000000001,
 -12, 1e300, 1e30, '', '', '', b'0', b'00000000', '', '-13:45:00', '838:59:59', '1969-12-31',
 '"text"', NULL, '', NULL, NULL, NULL, NULL);
INSERT INTO odd (id, at) VALUES (3, '2026-10-01 12:00:02');
INSERT INTO odd (id, at, ts, day, user_id) VALUES
(4, '2026-10-01 12:00:03', '0000-00-00 00:00:00', '0000-00-00', 'eve'),
(5, '2026-10-01 12:00:04', '2038-01-19 03:14:07', '2026-00-00', 'eve'),
(6, '2026-10-01 12:00:05', NULL, '9999-12-31', 'eve');
