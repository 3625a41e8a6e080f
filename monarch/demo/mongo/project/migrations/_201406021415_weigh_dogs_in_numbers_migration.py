from pymongo import UpdateOne

from monarch import MongoBackedMigration, echo


class WeighDogsInNumbersMigration(MongoBackedMigration):
    def run(self):
        """{'weight': '12 kg'} becomes {'weight_kg': 12}"""
        changes = [
            UpdateOne(
                {"_id": dog["_id"]},
                {"$set": {"weight_kg": int(dog["weight"].split()[0])}, "$unset": {"weight": ""}},
            )
            for dog in self.database.dogs.find({"weight": {"$exists": True}})
        ]
        if changes:
            self.database.dogs.bulk_write(changes)
        echo(f"   {len(changes)} dogs weighed")
