"""The shapes of MongoDB's samples: sample_mflix, sample_airbnb, sample_analytics, sample_supplies."""

from __future__ import annotations

import random
from typing import Any

from bson import Decimal128, Int64

from tests.support.people.dataset import (
    CITIES,
    PRODUCTS,
    DataSet,
    Documents,
    bcrypt,
    birthday,
    digest,
    invent,
    moment,
    object_id,
    sentence,
    words,
)


def build(rng: random.Random, count: int) -> Documents:
    people = [invent(rng, number) for number in range(count)]
    return {
        "users": [
            {
                "_id": object_id(rng),
                "name": one.name,
                "email": one.mail,
                "password": bcrypt(rng),
                "preferences": {},
            }
            for one in people
        ],
        "comments": [
            {
                "_id": object_id(rng),
                "name": (one := rng.choice(people)).name,
                "email": one.mail,
                "movie_id": object_id(rng),
                "text": sentence(rng),
                "date": moment(rng),
            }
            for _ in range(2 * count)
        ],
        "sessions": [
            {"_id": object_id(rng), "user_id": rng.choice(people).mail, "jwt": jwt(rng)} for _ in range(count)
        ],
        "movies": [movie(rng) for _ in range(count)],
        "theaters": [theater(rng, number) for number in range(count)],
        "listingsAndReviews": [listing(rng, number) for number in range(count)],
        **analytics(rng, count),
        "sales": [sale(rng, number) for number in range(2 * count)],
    }


def jwt(rng: random.Random) -> str:
    return f"eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpYXQiOj{digest(rng)}.{digest(rng)[:43]}"


def movie(rng: random.Random) -> dict[str, Any]:
    return {
        "_id": object_id(rng),
        "plot": sentence(rng),
        "fullplot": sentence(rng, 30, 60),
        "genres": rng.sample(["Short", "Western", "Drama", "Comedy"], 2),
        "runtime": rng.randrange(60, 200),
        "title": " ".join(sentence(rng, 1, 3).title().split()).rstrip("."),
        "poster": f"https://m.media-amazon.example/images/M/{digest(rng)[:20]}.jpg",
        "languages": ["English"],
        "released": moment(rng, 1950),
        "rated": rng.choice(["PG", "R", "TV-G"]),
        "awards": {
            "wins": rng.randrange(9),
            "nominations": rng.randrange(9),
            "text": f"{rng.randrange(9)} wins.",
        },
        "year": rng.randrange(1950, 2024),
        "imdb": {"rating": rng.random() * 10, "votes": rng.randrange(99_999), "id": rng.randrange(9_999_999)},
        "countries": ["USA"],
        "type": "movie",
        "tomatoes": {"viewer": {"rating": 3.0, "numReviews": 184, "meter": 32}, "lastUpdated": moment(rng)},
        "num_mflix_comments": rng.randrange(200),
    }


def theater(rng: random.Random, number: int) -> dict[str, Any]:
    return {
        "_id": object_id(rng),
        "theaterId": 1000 + number,
        "location": {
            "address": {
                "street1": "340 W Market",
                "city": rng.choice(CITIES),
                "state": "MN",
                "zipcode": "55425",
            },
            "geo": {"type": "Point", "coordinates": [-93.2 + rng.random(), 44.8 + rng.random()]},
        },
    }


def listing(rng: random.Random, number: int) -> dict[str, Any]:
    host, host_id = invent(rng, number), str(rng.randrange(10**6, 10**8))
    picture = f"https://a0.muscache.example/im/pictures/{digest(rng)[:32]}.jpg?aki_policy="
    where = f"{rng.choice(CITIES)}, {rng.choice(CITIES)}, Portugal"
    return {
        "_id": str(10_000_000 + number),
        "listing_url": f"https://www.airbnb.example/rooms/{10_000_000 + number}",
        "name": f"{rng.choice(['Charming', 'Sunny'])} Duplex near {rng.choice(CITIES)}",
        **{
            key: sentence(rng) if rng.random() < 0.8 else ""
            for key in (
                *("summary", "space", "description", "neighborhood_overview", "notes", "transit", "access"),
                *("interaction", "house_rules"),
            )
        },
        "property_type": rng.choice(["House", "Apartment"]),
        "room_type": rng.choice(["Entire home/apt", "Private room"]),
        "bed_type": "Real Bed",
        "minimum_nights": "2",
        "cancellation_policy": "moderate",
        "last_scraped": moment(rng, 2019),
        "first_review": moment(rng, 2016),
        "accommodates": rng.randrange(1, 9),
        "bathrooms": Decimal128("1.0"),
        "amenities": rng.sample(["TV", "Wifi", "Kitchen", "Heating", "First aid kit"], 3),
        "price": Decimal128(str(rng.randrange(20, 400))),
        "security_deposit": Decimal128("200.00"),
        "images": {
            "thumbnail_url": "",
            "picture_url": f"https://a0.muscache.example/im/{digest(rng)[:32]}.jpg",
        },
        "host": {
            "host_id": host_id,
            "host_url": f"https://www.airbnb.example/users/show/{host_id}",
            "host_name": host.first if number % 3 else f"{host.first} & {rng.choice(['Ana', 'Jo'])}",
            "host_location": where,
            "host_about": sentence(rng) if rng.random() < 0.6 else "",
            "host_response_time": "within an hour",
            "host_thumbnail_url": picture,
            "host_picture_url": picture,
            "host_neighbourhood": rng.choice(CITIES),
            "host_response_rate": 100,
            "host_is_superhost": False,
            "host_has_profile_pic": True,
            "host_identity_verified": True,
            "host_listings_count": 3,
            "host_verifications": ["email", "phone", "reviews"],
        },
        "address": {
            "street": where,
            "suburb": rng.choice(CITIES),
            "government_area": f"{rng.choice(CITIES)}, {rng.choice(CITIES)}",
            "market": rng.choice(["Porto", "Oahu", "Sydney"]),
            "country": "Portugal",
            "country_code": "PT",
            "location": {
                "type": "Point",
                "coordinates": [-8.6 + rng.random(), 41.1 + rng.random()],
                "is_location_exact": rng.random() < 0.5,
            },
        },
        "availability": {"availability_30": 28, "availability_60": 47},
        "review_scores": {"review_scores_accuracy": 9, "review_scores_rating": 89},
        "reviews": [
            {
                "_id": str(rng.randrange(10**8)),
                "date": moment(rng, 2016),
                "listing_id": str(10_000_000 + number),
                "reviewer_id": str(rng.randrange(10**7)),
                "reviewer_name": invent(rng, 0).first,
                "comments": sentence(rng),
            }
            for _ in range(rng.randrange(4))
        ],
    }


def analytics(rng: random.Random, count: int) -> Documents:
    accounts = [rng.randrange(50_000, 999_999) for _ in range(2 * count)]
    customers = []
    for number in range(count):
        one = invent(rng, number)
        customers.append(
            {
                "_id": object_id(rng),
                "username": one.login.replace(".", ""),
                "name": one.name,
                "address": f"{rng.randrange(99, 9999)} {one.last} Glens\n{rng.choice(CITIES)}, CO 22939",
                "birthdate": birthday(rng),
                "email": one.mail,
                "active": True,
                "accounts": rng.sample(accounts, 2),
                "tier_and_details": {
                    digest(rng)[:32]: {
                        "tier": rng.choice(["Bronze", "Gold"]),
                        "id": digest(rng)[:32],
                        "active": True,
                        "benefits": ["sports tickets"],
                    }
                    for _ in range(rng.randrange(3))
                },
            }
        )
    return {
        "customers": customers,
        "accounts": [
            {
                "_id": object_id(rng),
                "account_id": one,
                "limit": 10_000,
                "products": ["Derivatives", "InvestmentStock"],
            }
            for one in accounts
        ],
        "transactions": [
            {
                "_id": object_id(rng),
                "account_id": rng.choice(accounts),
                "transaction_count": 2,
                "bucket_start_date": moment(rng, 1990),
                "bucket_end_date": moment(rng, 2016),
                "transactions": [
                    {
                        "date": moment(rng),
                        "amount": rng.randrange(9999),
                        "transaction_code": rng.choice(["buy", "sell"]),
                        "symbol": rng.choice(["adbe", "team"]),
                        "price": str(rng.random() * 100),
                        "total": str(rng.random() * 10_000),
                    }
                    for _ in range(2)
                ],
            }
            for _ in range(count)
        ],
    }


def sale(rng: random.Random, number: int) -> dict[str, Any]:
    return {
        "_id": object_id(rng),
        "saleDate": moment(rng),
        "items": [
            {
                "name": rng.choice(PRODUCTS).lower(),
                "tags": ["office", "stationary"],
                "price": Decimal128("40.01"),
                "quantity": Int64(2),
            }
            for _ in range(2)
        ],
        "storeLocation": rng.choice(["Denver", "Seattle", "London"]),
        "customer": {
            "gender": rng.choice("MF"),
            "age": rng.randrange(16, 80),
            "email": invent(rng, number).mail,
            "satisfaction": rng.randrange(1, 6),
        },
        "couponUsed": False,
        "purchaseMethod": rng.choice(["Online", "In store", "Phone"]),
    }


ATLAS = DataSet(
    "Atlas samples",
    build,
    frozenset(
        words(
            """users.name users.email users.password comments.name comments.email comments.text
            sessions.user_id sessions.jwt listingsAndReviews.summary listingsAndReviews.space
            listingsAndReviews.description listingsAndReviews.neighborhood_overview
            listingsAndReviews.notes listingsAndReviews.transit listingsAndReviews.access
            listingsAndReviews.interaction listingsAndReviews.house_rules
            listingsAndReviews.host.host_url listingsAndReviews.host.host_name
            listingsAndReviews.host.host_location listingsAndReviews.host.host_about
            listingsAndReviews.host.host_thumbnail_url listingsAndReviews.host.host_picture_url
            listingsAndReviews.host.host_neighbourhood listingsAndReviews.address.street
            listingsAndReviews.address.suburb listingsAndReviews.address.government_area
            listingsAndReviews.address.location.coordinates[]
            listingsAndReviews.reviews[].reviewer_name listingsAndReviews.reviews[].comments
            customers.username customers.name customers.address customers.birthdate customers.email
            sales.customer.gender sales.customer.age sales.customer.email"""
        )
    ),
    (("users", "email"),),
)
