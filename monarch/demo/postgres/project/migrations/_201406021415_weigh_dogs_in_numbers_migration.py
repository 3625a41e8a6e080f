from monarch import PostgresBackedMigration, echo


class WeighDogsInNumbersMigration(PostgresBackedMigration):
    def run(self):
        """The column weight, with '12 kg', becomes weight_kg, with 12"""
        self.connection.execute("ALTER TABLE dogs ADD COLUMN weight_kg integer")
        weighed = self.connection.execute("UPDATE dogs SET weight_kg = split_part(weight, ' ', 1)::integer")
        self.connection.execute("ALTER TABLE dogs DROP COLUMN weight")
        echo(f"   {weighed.rowcount} dogs weighed")
