from monarch import MongoBackedMigration


class AddIndexesToUserTableMigration(MongoBackedMigration):
    def run(self):
        self.database.users.create_index("email", unique=True)
