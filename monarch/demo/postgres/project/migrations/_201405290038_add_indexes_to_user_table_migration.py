from monarch import PostgresBackedMigration


class AddIndexesToUserTableMigration(PostgresBackedMigration):
    def run(self):
        self.connection.execute("CREATE UNIQUE INDEX users_email ON users (email)")
