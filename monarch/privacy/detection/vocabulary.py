"""The names that fields with personal data have, in several languages."""

from __future__ import annotations

from monarch.privacy.detection.suggestion import PersonalKind as Kind

# In each: English, German, French, Spanish, Portuguese, Italian, Dutch, Polish, Turkish, Russian, Chinese,
# Japanese, as far as they differ. Names of several words have a space; they are found without it too.
NAMES: dict[Kind, str] = {
    Kind.EMAIL: """email, e mail, mail, email address, mail address, emailadresse,
        mailadresse, courriel, adresse mail, adresse email, correo, correo electronico,
        correo e, e mail adresse, posta elettronica, indirizzo email, eposta, e posta, e
        posta adresi, e mailadres, adres email, poczta, pochta, elektronnaya pochta, почта,
        электронная почта, имейл, youxiang, dianzi youjian, 邮箱, 电子邮件, 邮件, meru, meruadoresu,
        メール, メールアドレス, recipient email, replyto, reply to, mailto""",
    Kind.PHONE: """phone, telephone, phone number, mobile, mobile phone, mobile number,
        cell, cellphone, cell phone, fax, fax number, tel, msisdn, whatsapp, telefon,
        telefonnummer, handy, handynummer, mobil, mobilnummer, mobiltelefon, rufnummer,
        festnetz, telefax, téléphone, numéro de téléphone, portable, télécopie, teléfono,
        móvil, celular, numero telefono, telefone, telemóvel, cellulare, numero di telefono,
        telefoon, telefoonnummer, mobiel, gsm, komórka, numer telefonu, nr telefonu, cep
        telefonu, telefon no, telefonnr, телефон, мобильный, номер телефона, nomer telefona,
        dianhua, shouji, shoujihao, 电话, 手机, 手机号, denwa, denwabangou, keitai, 電話, 電話番号, 携帯""",
    Kind.FULL_NAME: """doctor, physician, médico, médico cabecera, arzt, hausarzt,
        therapist, guardian, next of kin, supervisor, emergency contact, full name, real
        name, person name, customer name, client name, user full name, contact name, contact
        person, holder, holder name, card holder, account holder, account name, name on
        card, recipient name, sender name, author name, reviewer name, host name, guest
        name, employee name, patient name, student name, billing name, shipping name,
        vollständiger name, ansprechpartner, ansprechperson, kontaktperson, kontoinhaber,
        karteninhaber, empfänger, inhaber, kundenname, name des kunden, nom complet,
        titulaire, nombre completo, nombre y apellidos, titular, nome completo, nome e
        cognome, intestatario, destinatario, volledige naam, contactpersoon, imię i
        nazwisko, ad soyad, adı soyadı, fio, фио, полное имя, polnoe imya, xingming, 姓名, 全名,
        shimei, 氏名, お名前, quan ming, beneficiary, payee, assignee name, signed by, father
        name, mother name""",
    Kind.FIRST_NAME: """given, given names, prenoms, first name, name first, name given,
        fname, given name, givenname, forename, christian name, middle name, nickname, nick
        name, vorname, rufname, prénom, nombre de pila, primer nombre, primeiro nome,
        prenome, nome di battesimo, voornaam, roepnaam, imię, drugie imię, isim, ad, имя,
        imya, отчество, otchestvo, mingzi, 名字, 名, mei, namae""",
    Kind.LAST_NAME: """family, family names, last name, name last, name family, lname,
        surname, family name, familyname, maiden name, birth name, nachname, familienname,
        zuname, geburtsname, mädchenname, nom de famille, apellido, apellidos, primer
        apellido, segundo apellido, apellido paterno, apellido materno, sobrenome, apelido,
        último nome, cognome, achternaam, nazwisko, soyad, soyadı, soyisim, фамилия,
        familiya, xing, 姓, sei, myouji, 苗字""",
    Kind.USERNAME: """username, user name, login, login name, loginname, handle, screen
        name, account login, benutzername, benutzerkennung, anmeldename, nutzername, nom
        d'utilisateur, identifiant, pseudo, nombre de usuario, usuario, nome de usuário,
        nome utente, utente, gebruikersnaam, nazwa użytkownika, kullanıcı adı, имя
        пользователя, логин, yonghuming, 用户名, yuuzaamei, ユーザー名, ユーザ名, twitter, skype,
        telegram, instagram, github, icq, discord, wechat, weixin, 微信""",
    Kind.COMPANY: """company, company name, employer, organisation name, organization name,
        firma, firmenname, arbeitgeber, entreprise, société, raison sociale, employeur,
        empresa, empleador, razón social, razao social, azienda, ragione sociale, bedrijf,
        bedrijfsnaam, werkgever, nazwa firmy, pracodawca, şirket, işveren, компания,
        организация, gongsi, 公司, kaisha, 会社, 会社名""",
    Kind.STREET: """piso, puerta, portal, escalera, unit number, suite, house no, house nr,
        street no, straße nr, huisnr, nr domu, ulica i numer, etage, street, street address,
        street name, street number, house number, address, address line, line1, line2, addr,
        full address, home address, postal address, mailing address, apartment, apt, straße,
        strasse, str, hausnummer, hausnr, anschrift, adresse, adresszusatz, wohnadresse,
        lieferadresse, rechnungsadresse, rue, voie, adresse postale, complément adresse,
        calle, dirección, domicilio, número casa, rua, endereço, morada, logradouro,
        complemento, via, indirizzo, civico, straat, adres, huisnummer, ulica, numer domu,
        sokak, cadde, улица, адрес, дом, квартира, ulitsa, jiedao, dizhi, 地址, 街道, juusho,
        jyusho, 住所, 番地""",
    Kind.CITY: """población, provincia, colonia, kommune, residence, place of residence,
        city, town, suburb, neighbourhood, neighborhood, district, municipality, village,
        locality, place of birth, birthplace, birth place, hometown, government area, host
        location, home town, ort, stadt, wohnort, ortsteil, stadtteil, gemeinde, geburtsort,
        ville, commune, quartier, lieu de naissance, ciudad, localidad, municipio, barrio,
        lugar de nacimiento, cidade, bairro, naturalidade, città, comune, luogo di nascita,
        plaats, woonplaats, gemeente, geboorteplaats, miasto, miejscowość, şehir, ilçe,
        doğum yeri, город, gorod, место рождения, chengshi, 城市, shi, 市, 市区町村, shikuchouson""",
    Kind.POSTCODE: """postcode, post code, postal code, zip, zip code, plz, postleitzahl,
        code postal, cp, codigo postal, cep, cap, kod pocztowy, posta kodu, индекс, почтовый
        индекс, pochtovyy indeks, youbian, 邮编, 邮政编码, yuubin bangou, yubin, 郵便番号""",
    Kind.BIRTH: """fecha nac, fec nac, data nasc, geb dat, data ur, date naiss, birth,
        birthday, birth date, birthdate, geburt datum, date of birth, dob, born, born at,
        birth year, year of birth, geburtstag, geburtsdatum, geboren, geburtsjahr, geb
        datum, gebdatum, date de naissance, naissance, né le, fecha de nacimiento, fecha
        nacimiento, nacimiento, cumpleaños, data de nascimento, nascimento, aniversário,
        data di nascita, nascita, geboortedatum, geboren op, data urodzenia, urodziny, doğum
        tarihi, дата рождения, data rozhdeniya, день рождения, shengri, chusheng riqi, 生日,
        出生日期, seinengappi, tanjoubi, 生年月日, 誕生日""",
    Kind.AGE: """age, alter, âge, edad, idade, età, leeftijd, wiek, yaş, возраст, vozrast, nianling, 年龄,
        nenrei, 年齢""",
    Kind.GENDER: """gender, sex, salutation, pronouns, geschlecht, anrede, sexe, civilité, género,
        sexo, gênero, genere, sesso, geslacht, aanhef, płeć, cinsiyet, пол, xingbie, 性别, seibetsu, 性別""",
    Kind.MONEY: """salary, income, wage, wages, gehalt, einkommen, lohn, salaire, revenu,
        salario, ingresos, sueldo, salário, renda, stipendio, reddito, salaris, inkomen,
        wynagrodzenie, pensja, maaş, gelir, зарплата, доход, zarplata, gongzi, 工资, kyuuyo,
        給与, 年収""",
    Kind.NATIONAL_ID: """plate, number plate, matrícula, targa, vin, mrn, medical record
        number, patient number, nhc, historia clínica, tarjeta sanitaria, policy number,
        versicherungsnummer, tracking number, sendungsnummer, ssn, social security, social
        security number, sin, national id, nationalid, national insurance number, nino, nin,
        tax id, taxid, tax number, tin, vat number, vat id, itin, passport, passport number,
        passport no, driver license, drivers license, driver licence, driving licence,
        license number, license plate, id card, identity number, identity card,
        personalausweis, ausweisnummer, reisepass, steuernummer, steuer id, steuer
        identifikationsnummer, idnr, sozialversicherungsnummer, sv nummer,
        rentenversicherungsnummer, führerschein, kennzeichen, ust id, numéro de sécurité
        sociale, nir, insee, carte d'identité, passeport, dni, nie, nif, pasaporte, cédula,
        curp, rfc, rut, cuil, cpf, cnpj, rg, passaporte, codice fiscale, partita iva,
        passaporto, bsn, burgerservicenummer, sofinummer, paspoort, rijbewijs, pesel, nip,
        dowód osobisty, paszport, tc kimlik, tc kimlik no, tckn, kimlik no, vergi no,
        pasaport, инн, снилс, паспорт, inn, snils, pasport, shenfenzheng, shenfenzhenghao,
        身份证, 身份证号, 护照, my number, mynumber, マイナンバー, 旅券番号, personnummer, cpr, egn, aadhaar,
        aadhar, medicare, nhs number, health insurance number, insurance number,
        versichertennummer, krankenversicherungsnummer""",
    Kind.IBAN: """iban, bic, swift, swift code, account number, bank account, bank account
        number, routing number, sort code, kontonummer, kontonr, bankverbindung,
        bankleitzahl, blz, compte bancaire, rib, numéro de compte, cuenta bancaria, número
        de cuenta, ccc, clabe, conta bancária, número da conta, agência, conto corrente,
        numero conto, rekeningnummer, bankrekening, numer konta, rachunek, hesap no, hesap
        numarası, банковский счет, номер счета, расчетный счет, yinhang zhanghao, 银行账号,
        kouza bangou, 口座番号""",
    Kind.CARD: """card number, credit card, credit card number, cc number, ccnumber, ccnum,
        pan, cardnumber, debit card, last4, last 4, last four, cvv, cvc, card expiry,
        kreditkarte, kreditkartennummer, kartennummer, carte bancaire, carte de crédit,
        numéro de carte, tarjeta, número de tarjeta, cartão, número do cartão, carta di
        credito, numero carta, kaartnummer, karta kredytowa, numer karty, kart numarası,
        kart no, номер карты, yinhang ka hao, xinyongka, 信用卡, 银行卡号, カード番号""",
    Kind.IP: """ip, ip address, ipaddr, ipaddress, ip addr, client ip, remote addr, remote
        address, ipv4, ipv6, x forwarded for, forwarded for, ip adresse, adresse ip,
        dirección ip, endereço ip, indirizzo ip, ip adres, ip adresi, ip адрес, last ip,
        host ip""",
    Kind.MAC: """mac, mac address, macaddr, mac adresse, adresse mac, hardware address, bssid""",
    Kind.DEVICE: """user agent, useragent, device name, device id, imei, imsi, idfa, gaid, advertising id,
        fingerprint, device fingerprint, browser fingerprint, udid, serial number""",
    Kind.URL: """display picture, profile pic, photo path, user image, avatar, avatar url,
        profile url, profile picture, profile image, picture url, photo, photo url, picture,
        thumbnail url, homepage, website, web site, host url, facebook, linkedin, profile
        link, avatar origin, xing profile, foto, profilbild, webseite, photo de profil, site
        web, foto perfil, sitio web, foto profilo, sito web, profielfoto, zdjęcie, fotoğraf,
        аватар, фото, touxiang, 头像""",
    Kind.LOCATION: """location, loc, coordinates, latitude, longitude, lat, lon, lng, geo,
        geolocation, geo location, gps, position, latlng, lat lng, coords, koordinaten,
        breitengrad, längengrad, coordonnées, coordenadas, latitud, longitud, latitudine,
        longitudine, coordinate, breedtegraad, lengtegraad, współrzędne, enlem, boylam,
        широта, долгота, weidu, jingdu, 纬度, 经度, ido, keido, 緯度, 経度""",
    Kind.PASSWORD: """password, passwd, pwd, pass, passphrase, password hash, hashed
        password, password digest, bcrypt, salt, pin, pin code, security answer, secret
        answer, security question, passwort, kennwort, mot de passe, mdp, contraseña, clave,
        senha, wachtwoord, hasło, şifre, parola, пароль, parol, mima, 密码, pasuwaado, パスワード""",
    Kind.TOKEN: """invitation code, access code, activation code, confirmation code, token,
        access token, refresh token, api key, apikey, secret, client secret, auth token,
        jwt, session token, bearer, private key, secret key, reset token, otp, totp, mfa
        secret, csrf, verification code, hashed token, login token, session id, sessionid,
        invite code, signature, schlüssel, jeton, clé, ficha, chiave, sleutel, klucz,
        anahtar, ключ, токен, lingpai, 令牌, トークン""",
    Kind.SENSITIVE: """alergias, grupo sanguíneo, tipo sanguíneo, diagnóstico, diagnosi,
        enfermedades, medicación, medications, diagnoses, symptoms, blutgruppen, religion,
        ethnicity, race, nationality, political, sexual orientation, disability, diagnosis,
        medical, health, blood type, blood group, allergies, allergy, medication, marital
        status, criminal, konfession, staatsangehörigkeit, nationalität, familienstand,
        behinderung, diagnose, blutgruppe, krankheit, nationalité, situation familiale,
        groupe sanguin, religión, nacionalidad, estado civil, religião, nacionalidade,
        religione, nazionalità, stato civile, nationaliteit, burgerlijke staat, narodowość,
        wyznanie, stan cywilny, uyruk, medeni hal, din, гражданство, национальность,
        диагноз, guoji, minzu, 国籍, 民族, kokuseki, shuukyou, 宗教""",
    Kind.TEXT: """comment, comments, message, msg, note, notes, bio, biography, about, about
        me, host about, remark, remarks, feedback, review, review text, body, text, caption,
        subject, memo, description, status text, answer, reply, gift message, instructions,
        delivery instructions, special requests, topic, announcement, search term,
        searchterm, query, complaint, reason, bemerkung, bemerkungen, kommentar, nachricht,
        notiz, notizen, anmerkung, beschreibung, hinweis, grußtext, betreff, freitext, über
        mich, lieferhinweis, commentaire, remarque, mensaje, comentario, nota, notas,
        observaciones, mensagem, comentário, observações, messaggio, commento, osservazioni,
        opmerking, opmerkingen, bericht, notitie, uwagi, komentarz, wiadomość, opis, yorum,
        mesaj, açıklama, комментарий, сообщение, заметка, описание, примечание, beizhu,
        liuyan, 备注, 留言, 评论, bikou, komento, 備考, コメント, メッセージ, transit, house rules,
        neighborhood overview, access, interaction, summary""",
}

# Names of people or of things: values and the names around them decide.
AMBIGUOUS = """name, names, display name, displayname, author, owner, creator, created by,
        updated by, modified by, sender, recipient, contact, label, title, namen, nom,
        nombre, nome, naam, nazwa, adı, название, наименование, autor, auteur, autore,
        ersteller, verfasser, absender, besitzer, mingcheng, 名称, 名前, user, by, filename,
        file name, original name, dateiname"""

# Of the names of free text those that texts about things have, too.
DESCRIPTIVE = """description, summary, body, text, caption, subject, query, reason, topic,
        beschreibung, betreff, opis, açıklama, описание, access, interaction, transit, house
        rules, neighborhood overview, answer, announcement, message, msg, about, label,
        title"""

# Words beside a name that change nothing: whose it is, which of several, and what joins words.
NEUTRAL = """user, users, customer, client, member, person, people, contact, guest, host,
        employee, patient, student, account, owner, author, reviewer, sender, recipient,
        buyer, seller, payer, payee, driver, visitor, subscriber, kunde, kunden, kunden,
        nutzer, benutzer, mitarbeiter, mitglied, gast, cliente, clientes, usuario, utente,
        utilisateur, klant, klient, uzytkownik, musteri, kullanici, klienta, uzytkownika,
        пользователя, клиента, billing, shipping, delivery, invoice, home, work, office,
        private, business, primary, secondary, main, alternate, backup, emergency, default,
        current, previous, old, new, last, first, second, other, original, preferred,
        official, legal, full, raw, normalized, lower, value, field, info, data, liefer,
        rechnung, rechnungs, privat, geschaeftlich, facturacion, envio, livraison,
        facturation, kontakt, contacto, contato, contatto, de, del, da, do, du, des, di, la,
        le, el, the, of, my, your, a, x, m, s, str, txt, number, nr, no, num, nummer,
        numero, numer, addr, address, wp, crm, cust, usr, personal, registered, signup,
        confirmed, login, from, to, cc, bcc, on, for, text, line, string, mobile, profile,
        company, parent, mother, father, spouse, partner, child, hash, hashed, encrypted,
        plain, card, credit, karte"""

# Words beside a name that say the field is about it, and does not hold it.
DISQUALIFYING = """id, ids, uid, type, kind, count, counts, total, status, state, verified,
        confirmed at, enabled, disabled, flag, format, template, version, size, length,
        valid, sent, sends, optin, opt, consent, preference, preferences, setting, settings,
        mode, order, required, visible, hidden, allowed, blocked, expires, expiry, expired,
        changed, at, rate, rating, score, scores, index, notification, notifications,
        frequency, provider, encoding, language, lang, locale, verification, attempts,
        limit, policy, level, width, height, color, colour, tier, price, fee, cost, amount,
        change, accuracy, origin type, exact, is, has, can, show, hide, use, uses, nights,
        month, year, monthly, weekly, listings, availability, response, extension, ext,
        etag, checksum, timezone, currency, category, categories, typ, anzahl, art, tipo,
        importe, betrag, brand, days, hours, minutes, seconds, bytes, percentage, percent"""

# What documents and parts of them are called: about people, or about things.
ABOUT_PEOPLE = """user, person, people, customer, client, member, employee, staff, patient,
        student, teacher, contact, guest, host, reviewer, review, author, visitor,
        subscriber, profile, account, lead, buyer, seller, driver, agent, owner, sender,
        recipient, participant, attendee, mention, u, comment, message, session, order,
        booking, payer, holder, billing, shipping, kunde, kunden, nutzer, benutzer,
        mitarbeiter, mitglied, mitglieder, personen, patienten, ansprechpartner, gast,
        client, utilisateur, membre, personne, employe, salarie, cliente, usuario, empleado,
        persona, miembro, funcionario, pessoa, utente, dipendente, klant, gebruiker,
        medewerker, persoon, lid, klient, uzytkownik, pracownik, osoba, musteri, kullanici,
        calisan, kisi, клиент, клиенты, пользователь, пользователи, сотрудник, сотрудники,
        yonghu, kehu, 用户, 客户, 会员, 员工, 顧客, ユーザー, 会員, 社員"""
ABOUT_THINGS = """theater, theatre, cinema, venue, branch, airport, product, item, category,
        sku, article, movie, film, book, song, game, plan, tag, role, permission, setting,
        config, country, currency, language, store, shop, warehouse, brand, template, emoji,
        integration, plugin, app, feature, file, image, os, browser, room type, produkt,
        artikel, kategorie, position, produit, producto, articulo, produto, prodotto,
        categoria, produkty, urun, товар, товары, продукт, amenity, benefit, migration, job,
        queue, event type, chunk, identify, option, attribute, variant, tax, coupon,
        discount, script, inventory"""
