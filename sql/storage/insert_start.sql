-- Records that an engine serves the database from now on.
insert into storage.starts default values returning position
