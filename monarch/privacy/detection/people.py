"""Names of people: frequent first and last names of several countries, and what a name looks like."""

from __future__ import annotations

import re
from functools import cache

from monarch.privacy.detection.words import fold

# Each a few dozen of the most frequent ones; a field is judged by many values, of which some are among them.
_FIRST = """james mary robert patricia john jennifer michael linda david elizabeth william
barbara richard susan joseph jessica thomas sarah charles karen christopher lisa daniel
nancy matthew betty anthony margaret mark sandra donald ashley steven kimberly paul emily
andrew donna joshua michelle kenneth carol kevin amanda brian dorothy george melissa edward
deborah ronald stephanie timothy rebecca jason sharon jeffrey laura ryan cynthia jacob
kathleen gary amy nicholas shirley eric angela jonathan helen stephen anna larry brenda
justin pamela scott nicole brandon emma benjamin samantha samuel katherine gregory christine
frank debra alexander rachel raymond catherine patrick carolyn jack janet dennis ruth jerry
maria tyler heather aaron diane jose virginia adam julie henry joyce nathan victoria douglas
olivia zachary kelly peter christina kyle lauren walter joan ethan evelyn jeremy judith
harold megan keith cheryl christian andrea roger hannah noah martha gerald jacqueline carl
frances terry gloria sean ann arthur kathryn austin teresa jesse alice dylan jean bryan sara
abigail madison billy sophia bruce grace willie denise albert amber gabriel marilyn logan
danielle alan beverly juan isabella wayne theresa roy diana ralph natalie randy brittany
eugene charlotte vincent marie russell kayla louis alexis bobby lori philip oliver amelia
isla ava harry george mia poppy ella freya olive jackie jacky katie chris ben sam alex max
nick tom tim jim joe dan matt mike steve dave rob hans klaus jürgen juergen wolfgang dieter
manfred uwe günter guenter werner heinz helmut gerhard horst bernd frank peter stefan
michael andreas thomas markus matthias jan lukas leon finn jonas paul felix maximilian
moritz niklas tobias florian sebastian petra sabine ursula monika claudia susanne gabriele
renate birgit karin andrea brigitte ingrid helga angelika martina silke anke katrin kathrin
anja stefanie julia lea lena leonie hanna johanna greta ida clara frieda heike jean pierre
michel andré philippe alain bernard jacques françois christophe nicolas laurent éric julien
olivier camille marie nathalie isabelle sylvie catherine françoise monique chloé léa manon
inès jade louise antoine hugo lucas mathieu antonio josé manuel francisco javier carlos
miguel jesús alejandro pedro rafael fernando luis sergio pablo jorge alberto maría carmen
josefa isabel dolores pilar teresa ana cristina marta lucía elena rosa raquel paula beatriz
rocío sofía joão antónio paulo ricardo tiago rui bruno gustavo marcos mariana juliana
fernanda patrícia camila beatriz larissa inês giuseppe giovanni mario luigi angelo vincenzo
marco andrea francesco alessandro lorenzo matteo luca davide giulia chiara francesca sara
martina federica silvia valentina paola giorgia alessia elisa johannes pieter jan kees
willem hendrik daan sem sanne lotte femke anouk maud fleur bram lars sven piotr krzysztof
andrzej tomasz paweł michał marcin jakub kacper katarzyna małgorzata agnieszka barbara ewa
magdalena joanna zofia zuzanna julia mehmet mustafa ahmet ali hüseyin hasan ibrahim ismail
osman yusuf murat emre fatma ayşe emine hatice zeynep elif meryem merve esra büşra ivan
dmitri dmitry sergei sergey alexei aleksei andrei andrey vladimir nikolai mikhail igor oleg
olga natalia tatiana svetlana irina ekaterina anastasia elena yulia maria wei min jing li
yan fang lei yang xin ying hui hiroshi takashi kenji satoshi yuki haruto sota yui aoi sakura
hana yoko keiko mohammed muhammad mohamed ahmed omar fatima aisha priya rahul amit anjali
sanjay deepak raj neha pooja ravi arjun иван дмитрий сергей алексей андрей александр михаил
николай владимир ольга наталья татьяна светлана ирина екатерина анна мария елена erik lars
anders björn karl astrid ingrid mikael johan"""
_LAST = """smith johnson williams brown jones garcia miller davis rodriguez martinez
hernandez lopez gonzalez wilson anderson thomas taylor moore jackson martin lee perez
thompson white harris sanchez clark ramirez lewis robinson walker young allen king wright
scott torres nguyen hill flores green adams nelson baker hall rivera campbell mitchell
carter roberts evans turner parker collins edwards stewart morris murphy cook rogers morgan
cooper peterson bailey reed kelly howard ramos cox ward richardson watson brooks bennett
gray james reyes cruz hughes price myers long foster sanders ross müller mueller schmidt
schneider fischer weber meyer wagner becker schulz hoffmann koch bauer richter klein wolf
schröder neumann schwarz zimmermann braun krüger hofmann hartmann lange schmitt werner
krause meier lehmann schmid schulze maier köhler herrmann könig walter mayer huber kaiser
fuchs peters lang scholz möller weiß jung hahn schubert vogel friedrich martin bernard
dubois durand moreau laurent simon michel lefebvre leroy roux david bertrand morel fournier
girard bonnet garcía fernández gonzález rodríguez lópez martínez sánchez pérez gómez jiménez
ruiz hernández díaz moreno álvarez muñoz romero alonso gutiérrez navarro torres silva santos
oliveira souza pereira costa ferreira almeida carvalho ribeiro gomes rossi russo ferrari
esposito bianchi romano colombo ricci marino greco bruno gallo conti deluca jansen janssen
vries berg dijk bakker visser smit meijer boer mulder nowak kowalski wiśniewski wójcik
kowalczyk kamiński lewandowski zieliński yılmaz kaya demir çelik şahin yıldız öztürk aydın
ivanov smirnov kuznetsov popov petrov sokolov lebedev novikov иванов смирнов кузнецов попов
петров соколов wang zhang liu chen huang zhao zhou sato suzuki takahashi tanaka watanabe ito
yamamoto nakamura kobayashi kato singh kumar sharma patel khan gupta andersson johansson
hansen nielsen jensen olsen"""

_WORD = re.compile(r"[^\W\d_]+(?:['’.\-][^\W\d_]*)*")
_NAMEY = re.compile(r"(?:[^\W\d_]|['’.,\-\s])+")
_EAST = re.compile(r"[\u4e00-\u9fff\u3040-\u30ff]{2,5}(?:[\s・][\u4e00-\u9fff\u3040-\u30ff]{1,6})?")
_TITLED = re.compile(r"(?:Dr|Prof|Mrs?|Ms|Herr|Frau|Sra?|Dra|Mme|Dhr|Mevr)\.? [^\W\d_]{2,}")
# The most frequent family names of China and Japan.
_EAST_FAMILIES = (
    *"王李张刘陈杨赵黄周吴徐孙朱马胡郭林何高",
    *("佐藤", "鈴木", "高橋", "田中", "伊藤", "渡辺", "山本", "中村", "小林", "加藤", "吉田", "山田"),
)


@cache
def _known(text: str) -> frozenset[str]:
    return frozenset(spelled for word in text.split() for spelled in fold(word))


def is_first_name(word: str) -> bool:
    """Whether ``word`` is a frequent first name."""
    return any(spelled in _known(_FIRST) for spelled in fold(word.lower()))


def is_last_name(word: str) -> bool:
    """Whether ``word`` is a frequent last name."""
    return any(spelled in _known(_LAST) for spelled in fold(word.lower()))


def has_last_name(text: str) -> bool:
    """Whether ``text`` has several words, of which the last one is a frequent last name."""
    words = text.split()
    return len(words) > 1 and is_last_name(words[-1])


def looks_like_a_name(text: str) -> bool:
    """Whether ``text`` could be the name of a person: one to five words that begin with capitals."""
    if len(text) > 60 or not _NAMEY.fullmatch(text):
        return False
    if _EAST.fullmatch(text):
        return text.startswith(_EAST_FAMILIES)
    words = _WORD.findall(text)
    capitals = sum(word[0].isupper() for word in words)
    return 1 <= len(words) <= 5 and capitals >= max(1, len(words) - 1)


def is_known_name(text: str) -> bool:
    """Whether ``text`` looks like the name of a person, and has a frequent first or last name in it."""
    if not looks_like_a_name(text):
        return False
    if _EAST.fullmatch(text) or _TITLED.match(text):
        return True
    words = _WORD.findall(text)
    if len(words) == 1:
        return is_first_name(words[0])
    parts = [part for word in words for part in re.split(r"['’.\-]", word) if part]
    return any(map(is_first_name, parts)) or any(map(is_last_name, parts))
