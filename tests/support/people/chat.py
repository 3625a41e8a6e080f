"""The shapes of the database of a chat server, Rocket.Chat."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import quote

from bson import Binary

from tests.support.people.dataset import (
    DataSet,
    Documents,
    Person,
    bcrypt,
    digest,
    invent,
    ip,
    moment,
    object_id,
    phone,
    sentence,
    word_id,
    words,
)

Member = tuple[str, Person]


def build(rng: random.Random, count: int) -> Documents:
    members = [(word_id(rng), invent(rng, number)) for number in range(count)]
    rooms = [word_id(rng) for _ in range(count // 4)]
    messages = [message(rng, members, rng.choice(rooms)) for _ in range(4 * count)]
    return {
        "users": [user(rng, one, rooms) for one in members],
        "rocketchat_message": messages,
        "rocketchat_room": [room(rng, one, members, messages) for one in rooms],
        "rocketchat_subscription": [subscription(rng, members, rooms) for _ in range(count)],
        "rocketchat_uploads": [upload(rng, members, rooms) for _ in range(count)],
        "rocketchat_uploads.files": [stored(rng, members) for _ in range(count // 2)],
        "rocketchat_uploads.chunks": [
            {"_id": object_id(rng), "files_id": word_id(rng), "n": 0, "data": Binary(rng.randbytes(60))}
            for _ in range(count // 2)
        ],
        "rocketchat_sessions": [session(rng, members) for _ in range(count)],
        "rocketchat_livechat_visitor": [visitor(rng, number) for number in range(count)],
        "rocketchat_permissions": [
            {"_id": f"view-{number}", "roles": ["admin", "user"], "_updatedAt": moment(rng)}
            for number in range(30)
        ],
        "rocketchat_settings": [
            {
                "_id": f"Layout_{number}",
                "type": "string",
                "value": rng.choice([True, "default", 3]),
                "i18nLabel": f"Layout_{number}",
                "packageValue": "default",
                "sorter": number,
                "ts": moment(rng),
                "public": True,
            }
            for number in range(60)
        ],
    }


def small(member: Member) -> dict[str, Any]:
    return {"_id": member[0], "username": member[1].login, "name": member[1].name}


def user(rng: random.Random, member: Member, rooms: list[str]) -> dict[str, Any]:
    own, person = member
    return {
        "_id": own,
        "createdAt": moment(rng),
        "username": person.login,
        "name": person.name,
        "emails": [{"address": person.mail, "verified": rng.random() < 0.5}],
        "type": "user",
        "status": rng.choice(["online", "offline", "away"]),
        "statusText": sentence(rng, 2, 6) if rng.random() < 0.4 else "",
        "active": True,
        "roles": ["user"],
        "utcOffset": 1,
        "lastLogin": moment(rng, 2023),
        "services": {
            "password": {"bcrypt": bcrypt(rng)},
            "email2fa": {"enabled": True, "changedAt": moment(rng)},
            "resume": {"loginTokens": [{"when": moment(rng), "hashedToken": digest(rng)[:44]}]},
            "email": {
                "verificationTokens": [
                    {"token": word_id(rng, 43), "address": person.mail, "when": moment(rng)}
                ]
            },
        },
        "avatarETag": word_id(rng),
        "avatarOrigin": "upload",
        "bio": sentence(rng) if rng.random() < 0.5 else "",
        "nickname": person.first.lower() if rng.random() < 0.5 else "",
        "requirePasswordChange": False,
        "settings": {
            "preferences": {
                "language": "de",
                "emailNotificationMode": "mentions",
                "sidebarSortby": "activity",
            }
        },
        "__rooms": rng.sample(rooms, 2),
        "_updatedAt": moment(rng, 2023),
    }


def message(rng: random.Random, members: list[Member], room: str) -> dict[str, Any]:
    text = sentence(rng, 1, 20)
    made: dict[str, Any] = {
        "_id": word_id(rng),
        "rid": room,
        "msg": text,
        "ts": moment(rng),
        "u": small(rng.choice(members)),
        "mentions": [{**small(rng.choice(members)), "type": "user"}] if rng.random() < 0.3 else [],
        "channels": [],
        "urls": [],
        "md": [{"type": "PARAGRAPH", "value": [{"type": "PLAIN_TEXT", "value": text}]}],
        "_updatedAt": moment(rng),
    }
    if rng.random() < 0.2:
        made["reactions"] = {
            emoji: {"usernames": [rng.choice(members)[1].login]}
            for emoji in rng.sample([":tada:", ":+1:", ":heart:", ":smile:", ":eyes:", ":fire:", ":cry:"], 2)
        }
    if rng.random() < 0.1:
        name = f"{rng.choice(members)[1].last}-{rng.choice(['report', 'cv', 'photo'])}.pdf"
        made["file"] = {"_id": word_id(rng), "name": name, "type": "application/pdf"}
        made["attachments"] = [
            {
                "title": name,
                "type": "file",
                "description": sentence(rng),
                "title_link": f"/file-upload/{word_id(rng)}/{name}",
                "title_link_download": True,
            }
        ]
    if rng.random() < 0.1:
        made["editedAt"], made["editedBy"] = (
            moment(rng),
            {k: v for k, v in small(rng.choice(members)).items() if k != "name"},
        )
    return made


def room(
    rng: random.Random, own: str, members: list[Member], messages: list[dict[str, Any]]
) -> dict[str, Any]:
    direct, two = rng.random() < 0.5, rng.sample(members, 2)
    made: dict[str, Any] = {
        "_id": own,
        "t": "d" if direct else "c",
        "msgs": rng.randrange(999),
        "usersCount": 2,
        "u": small(two[0]),
        "ts": moment(rng),
        "ro": False,
        "sysMes": True,
        "lastMessage": {
            key: value
            for key, value in rng.choice(messages).items()
            if key in ("_id", "rid", "msg", "ts", "u")
        },
        "_updatedAt": moment(rng),
    }
    if direct:
        made |= {"usernames": [one[1].login for one in two], "uids": [one[0] for one in two]}
    else:
        made |= {
            "name": rng.choice(["general", "random", "support", "dev-team", "holidays"])
            + str(rng.randrange(99)),
            "topic": sentence(rng, 3, 8),
            "announcement": sentence(rng, 3, 8),
            "description": sentence(rng, 3, 8),
        }
    return made


def subscription(rng: random.Random, members: list[Member], rooms: list[str]) -> dict[str, Any]:
    other = rng.choice(members)[1]
    return {
        "_id": word_id(rng),
        "rid": rng.choice(rooms),
        "open": True,
        "alert": False,
        "unread": 0,
        "ts": moment(rng),
        "ls": moment(rng),
        "name": other.login,
        "fname": other.name,
        "t": "d",
        "u": small(rng.choice(members)),
    }


def upload(rng: random.Random, members: list[Member], rooms: list[str]) -> dict[str, Any]:
    name = f"{rng.choice(members)[1].name} {rng.choice(['passport', 'invoice', 'holiday'])}.png"
    own = word_id(rng)
    return {
        "_id": own,
        "name": name,
        "size": rng.randrange(10**6),
        "type": "image/png",
        "rid": rng.choice(rooms),
        "userId": rng.choice(members)[0],
        "description": sentence(rng, 2, 6),
        "store": "GridFS:Uploads",
        "etag": word_id(rng),
        "extension": "png",
        "complete": True,
        "uploading": False,
        "progress": 1,
        "uploadedAt": moment(rng),
        "path": f"/ufs/GridFS:Uploads/{own}/{quote(name)}",
        "url": f"https://chat.example/ufs/GridFS:Uploads/{own}/{quote(name)}",
        "token": digest(rng)[:10],
        "identify": {"format": "png", "size": {"width": 640, "height": 480}},
    }


def stored(rng: random.Random, members: list[Member]) -> dict[str, Any]:
    return {
        "_id": word_id(rng),
        "filename": f"{rng.choice(members)[1].name} {rng.choice(['passport', 'invoice'])}.png",
        "contentType": "image/png",
        "length": rng.randrange(10**6),
        "chunkSize": 261120,
        "uploadDate": moment(rng),
        "md5": digest(rng)[:32],
        "aliases": None,
    }


def session(rng: random.Random, members: list[Member]) -> dict[str, Any]:
    return {
        "_id": word_id(rng),
        "type": "session",
        "userId": rng.choice(members)[0],
        "sessionId": digest(rng)[:32],
        "loginToken": digest(rng)[:44],
        "loginAt": moment(rng),
        "instanceId": word_id(rng),
        "ip": ip(rng),
        "host": "chat.example",
        "device": {
            "type": "browser",
            "name": "Firefox",
            "longVersion": "115.0",
            "os": {"name": "Linux", "version": "10.4.0"},
            "version": "115.0",
        },
        "searchTerm": f"{rng.choice(members)[1].name}firefox{ip(rng)}",
        "year": 2024,
        "month": 5,
        "day": 3,
    }


def visitor(rng: random.Random, number: int) -> dict[str, Any]:
    one = invent(rng, number)
    return {
        "_id": word_id(rng),
        "username": f"guest-{number}",
        "name": one.name,
        "token": word_id(rng, 40),
        "visitorEmails": [{"address": one.mail}],
        "phone": [{"phoneNumber": phone(rng)}],
        "department": word_id(rng),
        "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
        "ip": ip(rng),
        "ts": moment(rng),
    }


CHAT = DataSet(
    "chat server",
    build,
    frozenset(
        words(
            """users.username users.name users.emails[].address users.statusText
            users.services.password.bcrypt users.services.resume.loginTokens[].hashedToken
            users.services.email.verificationTokens[].token
            users.services.email.verificationTokens[].address users.bio users.nickname
            rocketchat_message.msg rocketchat_message.u.username rocketchat_message.u.name
            rocketchat_message.mentions[].username rocketchat_message.mentions[].name
            rocketchat_message.md[].value[].value rocketchat_message.reactions.*.usernames[]
            rocketchat_message.file.name rocketchat_message.attachments[].title
            rocketchat_message.attachments[].description rocketchat_message.attachments[].title_link
            rocketchat_message.editedBy.username rocketchat_room.u.username rocketchat_room.u.name
            rocketchat_room.lastMessage.msg rocketchat_room.lastMessage.u.username
            rocketchat_room.lastMessage.u.name rocketchat_room.usernames[] rocketchat_room.topic
            rocketchat_room.announcement rocketchat_room.description rocketchat_subscription.name
            rocketchat_subscription.fname rocketchat_subscription.u.username
            rocketchat_subscription.u.name rocketchat_uploads.name rocketchat_uploads.description
            rocketchat_uploads.path rocketchat_uploads.url rocketchat_uploads.token
            rocketchat_uploads.files.filename rocketchat_uploads.chunks.data
            rocketchat_sessions.sessionId rocketchat_sessions.loginToken rocketchat_sessions.ip
            rocketchat_sessions.searchTerm rocketchat_livechat_visitor.username
            rocketchat_livechat_visitor.name rocketchat_livechat_visitor.token
            rocketchat_livechat_visitor.visitorEmails[].address
            rocketchat_livechat_visitor.phone[].phoneNumber rocketchat_livechat_visitor.userAgent
            rocketchat_livechat_visitor.ip"""
        )
    ),
    (("users", "username"), ("users", "emails.address")),
)
